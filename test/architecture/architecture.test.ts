import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { catalog } from "#api";
import { controllers } from "#controllers";
import { formerNames } from "#reconcile/sqs";
import { plugins } from "#scheduler";
import { type Source, survey } from "./survey.ts";

const { imports: doors } = JSON.parse(readFileSync("package.json", "utf8")) as { imports: Record<string, string> };
/** Names of kinds that are also ordinary words. */
const ambiguous = new Set(["Event", "Scale", "Namespace", "Service", "Node"]);
const kinds = [...new Set(catalog.map(({ kind }) => kind))].filter((kind) => !ambiguous.has(kind));
const read = (file: string): Source => ({ file, text: readFileSync(file, "utf8") });

test("every file is in a room and follows the rules", () => {
  const files = globSync("{lib,functions,agent,infra,test}/**/*.{ts,tsx,mts}").filter(
    (file) => !file.includes(".tmp."),
  );
  const found = survey({ sources: files.map(read), doors, kinds });
  expect(found.files).toBeGreaterThan(150);
  expect(found.imports).toBeGreaterThan(500);
  expect(found.violations).toEqual([]);
});

test("keys with a former name of a controller still lead to a controller", () => {
  const present = controllers({ ca: async () => "" }).map(({ name }) => name);
  for (const [former, name] of formerNames) {
    expect(present).toContain(name);
    expect(present).not.toContain(former);
  }
  expect(new Set(formerNames.map(([, name]) => name)).size).toBe(formerNames.length);
});

const folders = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

test("lists equal folders", () => {
  expect(
    controllers({ ca: async () => "" })
      .map(({ name }) => name)
      .sort(),
  ).toEqual(folders("lib/controllers").filter((name) => name !== "workload"));
  const files = readdirSync("lib/scheduler/plugins").filter(
    (file) => file !== "index.ts" && !file.endsWith(".test.ts"),
  );
  const kebab = (name: string) => name.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
  expect(plugins.map(({ name }) => `${kebab(name)}.ts`).sort()).toEqual(files.sort());
});

test("every function has a security test of its own", () => {
  const names = readdirSync("test/aws/security").flatMap((file) => /^(.+)\.test\.ts$/.exec(file)?.[1] ?? []);
  expect(names.length).toBeGreaterThan(6);
  expect(names.sort()).toEqual(folders("functions"));
  for (const name of names) {
    const text = readFileSync(`test/aws/security/${name}.test.ts`, "utf8");
    expect(text, name).toContain(`openGround("${name}"`);
    expect(text, name).toContain(`doorsOf("${name}")`);
  }
});

test("every driver of a port runs the port's conformance suite", () => {
  for (const driver of ["memory", "sqlite", "dynamo"]) {
    const tests = globSync(`lib/store/${driver}/*.test.ts`).map((file) => readFileSync(file, "utf8"));
    expect(
      tests.some((text) => text.includes("storeConformance(")),
      driver,
    ).toBe(true);
  }
  for (const driver of ["aws", "fake"]) {
    const tests = globSync(`lib/cloud/${driver}/*.test.ts`).map((file) => readFileSync(file, "utf8"));
    expect(
      tests.some((text) => text.includes("cloudConformance(")),
      driver,
    ).toBe(true);
  }
  for (const driver of folders("agent/runtime").filter(
    (name) => existsSync(`agent/runtime/${name}/runtime.ts`) || name === "fake",
  )) {
    const tests = globSync(`agent/runtime/${driver}/*.test.ts`).map((file) => readFileSync(file, "utf8"));
    expect(
      tests.some((text) => text.includes("runtimeConformance(")),
      driver,
    ).toBe(true);
  }
});
