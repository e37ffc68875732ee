import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { mustBeOurs, proxyKubeconfig, writeKubeconfig } from "./kubeconfig.ts";
import { settingsOf } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "skiff-proxy-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const words = { port: 0, verbose: false };
const outputs = (name: string, value: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
};
const stack = {
  Endpoint: "https://a.execute-api.eu-west-1.amazonaws.com/live",
  Dial: "wss://b.execute-api.eu-west-1.amazonaws.com/link",
  ClusterId: "123456789012/eu-west-1/main",
};

test("reads the cluster's endpoints from the outputs of its deployment; options take precedence", () => {
  const path = outputs("one.json", { "skiff-main": stack, "skiff-nodes": { Group: "g" } });
  expect(settingsOf({ ...words, outputs: path })).toEqual({
    server: stack.Endpoint,
    link: stack.Dial,
    region: "eu-west-1",
    clusterId: stack.ClusterId,
  });
  const server = "https://k8s.example.com/iam/";
  expect(settingsOf({ ...words, outputs: path, server, region: "us-east-1" })).toMatchObject({
    server: "https://k8s.example.com",
    region: "us-east-1",
  });
});

const bad: [string, object, RegExp][] = [
  ["nothing", {}, /^required: --server and --link and --region \(or --outputs/],
  ["no link", { server: "https://x.example.com", region: "r" }, /^required: --link /],
  ["another protocol", { server: "ftp://x", link: "wss://x", region: "r" }, /^--server: ftp:\/\/x is not a URL/],
  ["a malformed URL", { server: "https://x", link: "x", region: "r" }, /^--link: x is not a URL such as wss:/],
  ["a password", { server: "https://a:b@x", link: "wss://x", region: "r" }, /^--server: .* is not a URL/],
  [
    "an address in clear",
    { server: "http://api.example.com/live", link: "wss://link.example.com/live", region: "r" },
    /^--server: http:.* is not a URL such as https:/,
  ],
  ["no file", { outputs: join(folder, "none.json") }, /^--outputs .*none\.json: not found$/],
  ["no JSON", { outputs: outputs("bad.json", "{") }, /^--outputs .*bad\.json: not an output of cdk deploy/],
  ["other JSON", { outputs: outputs("list.json", [1]) }, /^--outputs .*: not an output of cdk deploy --outputs-file$/],
  ["no cluster", { outputs: outputs("no.json", { a: { B: "c" } }) }, /^--outputs .*: no stack in it is a cluster$/],
  [
    "two clusters",
    { outputs: outputs("two.json", { a: stack, b: stack }) },
    /^--outputs .*: it contains several clusters$/,
  ],
];

test.each(bad)("with options %s it fails with one clear line", (_name, given, said) => {
  let message = "";
  try {
    settingsOf({ ...words, ...given });
  } catch (error) {
    ({ message } = error as Error);
  }
  expect(message).toMatch(said);
  expect(message).not.toContain("\n");
});

test("the command prints its error on one line and exits with 1", async () => {
  const run = (args: string[]) =>
    new Promise<{ code: unknown; err: string }>((done) => {
      execFile(process.execPath, ["lib/cli/skiff.ts", "proxy", ...args], (error, _out, err) =>
        done({ code: error?.code, err }),
      );
    });
  expect(await run(["--server", "nonsense", "--port", "0"])).toEqual({
    code: 1,
    err: "skiff: --server: nonsense is not a URL such as https://example.com/live\n",
  });
  expect((await run(["--port", "70000"])).code).toBe(2);
});

test("a kubeconfig is readable by its owner only, and replaces no other file", () => {
  const path = join(folder, "kubeconfig");
  const text = proxyKubeconfig({ url: "https://127.0.0.1:1", ca: "PEM", token: "t", clusterId: stack.ClusterId });
  mustBeOurs(path);
  writeKubeconfig(path, text);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
    "current-context": "skiff-main",
    users: [{ user: { token: "t" } }],
  });
  mustBeOurs(path);
  for (const other of ["apiVersion: v1\n", '{"users":[{"name":"admin"}]}', '{"users":[]}', "null"]) {
    expect(() => mustBeOurs(outputs("other", other)), other).toThrow(/not written by skiff proxy$/);
  }
});
