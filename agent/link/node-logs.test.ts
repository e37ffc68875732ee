import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fakeRuntime } from "#agent/runtime/fake";
import { systemClock } from "#base";
import { type LinkedServer, linkedServer } from "./testing.ts";

let linked: LinkedServer;
let home: string;
const big = "line\n".repeat(500_000);

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "skiff-logs-"));
  const logFolder = join(home, "log");
  mkdirSync(join(logFolder, "pods"), { recursive: true });
  writeFileSync(join(logFolder, "big.log"), big);
  writeFileSync(join(logFolder, "bytes"), Buffer.of(1, 0, 2));
  writeFileSync(join(logFolder, "empty"), "");
  writeFileSync(join(logFolder, "pods", 'a "b".log'), "inside\n");
  symlinkSync('pods/a "b".log', join(logFolder, "stays"));
  writeFileSync(join(home, "secret"), "secret");
  symlinkSync("../secret", join(logFolder, "leaves"));
  symlinkSync("../..", join(logFolder, "pods", "up"));
  linked = await linkedServer(fakeRuntime({ clock: systemClock }), new Map(), { logFolder });
});
afterAll(async () => {
  await linked.close();
  rmSync(home, { recursive: true, force: true });
});

async function get(path: string): Promise<{ status: number; headers: Record<string, string>; text: string }> {
  const request = { type: "nodeLogs" as const, path };
  const { status, headers, body } = await linked.links.request("n", request, new AbortController().signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { status, headers, text: Buffer.concat(chunks).toString() };
}

// The form of Go's http.FileServer, which serves the kubelet's /logs/.
test("lists folders", async () => {
  const { status, headers, text } = await get("");
  expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
  expect(text).toBe(
    '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n' +
      ["big.log", "bytes", "empty", "leaves", "pods/", "stays"]
        .map((name) => `<a href="${name}">${name}</a>\n`)
        .join("") +
      "</pre>\n",
  );
  expect((await get("pods/")).text).toContain('<a href="a%20%22b%22.log">a &#34;b&#34;.log</a>\n');
  expect(await get("pods")).toMatchObject({ status: 301, headers: { location: "pods/" } });
});

test("sends files of any size, and those to which a link in the folder leads", async () => {
  const whole = await get("big.log");
  expect(whole.headers["content-type"]).toBe("text/plain; charset=utf-8");
  expect(whole.text === big).toBe(true);
  expect((await get('pods/a "b".log')).text).toBe("inside\n");
  expect((await get("stays")).text).toBe("inside\n");
  expect(await get("empty")).toMatchObject({ status: 200, text: "" });
  expect((await get("bytes")).headers["content-type"]).toBe("application/octet-stream");
  expect(await get("big.log/")).toMatchObject({ status: 301, headers: { location: "../big.log" } });
});

test.each(["none", "leaves", "../secret", "pods/../../secret", "pods/up/secret", "pods/up/", "a\0b", "x".repeat(5000)])(
  "does not find %j, which is not below the folder",
  async (path) => {
    const { status, text } = await get(path);
    expect([status, JSON.parse(text).reason]).toEqual([404, "NotFound"]);
  },
);
