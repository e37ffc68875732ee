import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { bundle } from "./bundle.ts";
import { functionNames } from "./functions.ts";
import { emptyFunctions, scratch } from "./testing/index.ts";

const others = (source: string) => ({ agent: join(source, "api/index.ts"), gateway: join(source, "tick/index.ts") });

test("uploads one module for each function, and no source map", async () => {
  const source = emptyFunctions();
  writeFileSync(
    join(source, "api/index.ts"),
    'import { readFileSync } from "node:fs";\nexport const handler = readFileSync;\n',
  );
  const built = await bundle({ source, ...others(source), output: scratch() });
  for (const name of functionNames) {
    expect(readdirSync(built.functions[name])).toEqual(["index.mjs"]);
    expect(built.sizes[name]).toBeGreaterThan(0);
  }
  expect(readdirSync(built.agent)).toEqual(["agent.mjs"]);
  expect(existsSync(join(built.functions.api, "../maps/api/index.mjs.map"))).toBe(true);
  expect(readFileSync(join(built.functions.api, "index.mjs"), "utf8")).not.toContain("sourceMappingURL");
  const { handler } = (await import(pathToFileURL(join(built.functions.tick, "index.mjs")).href)) as {
    handler: () => Promise<string>;
  };
  expect(await handler()).toBe("tick");
});

test("the same sources yield the same bytes in any folder", async () => {
  const [a, b] = [emptyFunctions(), emptyFunctions()];
  const hash = async (source: string) => (await bundle({ source, ...others(source), output: scratch() })).hash;
  expect(await hash(a)).toBe(await hash(b));
  writeFileSync(join(b, "tick/index.ts"), "export const handler = () => 2;\n");
  expect(await hash(a)).not.toBe(await hash(b));
});

test("a package that loads its parts with require finds them", async () => {
  const source = emptyFunctions();
  writeFileSync(join(source, "part.cjs"), 'module.exports = require("node:os").EOL;\n');
  writeFileSync(join(source, "link/index.ts"), 'import end from "../part.cjs";\nexport const handler = () => end;\n');
  const built = await bundle({ source, ...others(source), output: scratch() });
  const { handler } = (await import(pathToFileURL(join(built.functions.link, "index.mjs")).href)) as {
    handler: () => string;
  };
  expect(handler()).toBe("\n");
});

test("the table and the folders must agree", async () => {
  const build = (source: string) => bundle({ source, ...others(source), output: scratch() });
  const less = emptyFunctions();
  rmSync(join(less, "tick"), { recursive: true });
  await expect(build(less)).rejects.toThrow("no index.ts for tick");
  await expect(build(emptyFunctions([...functionNames, "cron"]))).rejects.toThrow(
    "cron is not in the table of functions",
  );
});

test("a bundle over its budget is refused", async () => {
  const source = emptyFunctions();
  writeFileSync(join(source, "tick/index.ts"), `export const handler = () => "${"x".repeat(5_000_000)}";\n`);
  await expect(bundle({ source, ...others(source), output: scratch() })).rejects.toThrow(
    /^functions\/tick: its bundle has/,
  );
});
