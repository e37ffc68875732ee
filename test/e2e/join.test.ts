import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Node, nodes } from "#api";
import { sleep, systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";

/* Two processes as two machines, with simulated containers: the command line from the token to a Ready node. */

let skiff: SkiffProcess;
let client: HttpClient;
const root = mkdtempSync(join(tmpdir(), "skiff-join-e2e-"));
const started: ChildProcess[] = [];

beforeAll(async () => {
  skiff = await startSkiff(["--runtime", "fake", "--bind", "0.0.0.0", "--node-name", "one"]);
  const pki = (file: string) => readFileSync(join(skiff.dataDir, "pki", file), "utf8");
  const { server } = JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8")) as { server: string };
  client = httpClient({ server, ca: pki("ca.crt"), certificate: { cert: pki("admin.crt"), key: pki("admin.key") } });
});
afterAll(async () => {
  for (const child of started) if (child.exitCode === null) child.kill("SIGKILL");
  client?.close();
  await skiff?.stop();
  rmSync(root, { recursive: true, force: true });
});

function run(words: readonly string[]): { child: ChildProcess; text: () => string } {
  const child = spawn(process.execPath, ["lib/cli/skiff.ts", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  let text = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (chunk) => (text += chunk));
  return { child, text: () => text };
}

async function joinCommand(): Promise<string[]> {
  const { child, text } = run(["token", "create", "--data-dir", skiff.dataDir]);
  await once(child, "close");
  return text().trim().split(" ").slice(1);
}

async function readyNode(name: string): Promise<Node> {
  for (;;) {
    const node = await client.get(nodes, { name }).catch(() => undefined);
    if (node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) return node;
    await sleep(systemClock, 200);
  }
}

test("a machine joins by the printed command, gets pod addresses of its own, and starts again without a token", async () => {
  const home = ["--runtime", "fake", "--data-dir", join(root, "two")];
  const first = run([...(await joinCommand()), ...home, "--node-name", "two"]);
  const [one, two] = [await readyNode("one"), await readyNode("two")];
  expect([one.spec?.podCIDR, two.spec?.podCIDR]).toEqual([
    "10.244.0.0/24",
    expect.stringMatching(/^10\.244\.[1-9]\d*\.0\/24$/),
  ]);
  first.child.kill("SIGINT");
  expect((await once(first.child, "close"))[0], first.text()).toBe(0);
  const again = run(["join", ...home]);
  while (!again.text().includes("This machine is the node two")) await sleep(systemClock, 100);
  again.child.kill("SIGINT");
  await once(again.child, "close");
});

/** The exit code of a command that ends by itself, and its last line. */
async function ended(words: readonly string[]): Promise<{ code: number; line: string }> {
  const { child, text } = run(words);
  const [code] = (await once(child, "close")) as [number];
  return { code, line: text().trim().split("\n").at(-1) ?? "" };
}

test("status and down show a node that has joined, and its folder is no cluster's", async () => {
  const folder = ["--data-dir", join(root, "four")];
  const { child, text } = run([...(await joinCommand()), ...folder, "--runtime", "fake", "--node-name", "four"]);
  await readyNode("four");
  while (!text().includes("This machine is the node four")) await sleep(systemClock, 100);
  const status = run(["status", ...folder]);
  expect((await once(status.child, "close"))[0]).toBe(0);
  const { server } = JSON.parse(readFileSync(join(root, "four", "membership.json"), "utf8")) as { server: string };
  const lines = status.text().trim().split("\n");
  expect(lines.map((line) => line.replace(/process \d+/, "process N"))).toEqual([
    `ok    node: process N, ${server}`,
    "ok    agent: process N, fake",
    "ok    api: answers",
    "ok    ready: four",
    "ok    pods: 0 of 0 running",
  ]);
  const taken = `another cluster is running in ${join(root, "four")} (process ${child.pid}, ${server})`;
  expect(await ended(["join", ...folder, "--runtime", "fake"])).toEqual({
    code: 1,
    line: expect.stringContaining(taken),
  });
  const down = await ended(["down", ...folder]);
  expect(down).toEqual({
    code: 0,
    line: expect.stringContaining(`The node four stays in the cluster of ${server} until it is deleted there`),
  });
  expect(child.exitCode).toBe(0);
  expect((await ended(["status", ...folder])).line).toBe("FAIL  node: not running");
  const up = await ended(["up", ...folder, "--runtime", "fake", "--port", "0"]);
  expect(up).toEqual({ code: 1, line: expect.stringContaining(`is a node's of ${server}: choose another --data-dir`) });
});

const unused = "https://127.0.0.1:9";
const hash = `sha256:${"0".repeat(64)}`;

test.each<[name: string, change: (words: string[]) => string[], line: string]>([
  ["another authority", (words) => words.with(words.indexOf("--ca-hash") + 1, hash), "is not that of --ca-hash"],
  ["no server", (words) => words.with(words.indexOf("--server") + 1, unused), `${unused} cannot be reached`],
  ["a malformed token", (words) => words.with(words.indexOf("--token") + 1, "x"), "--token is not a bootstrap token"],
  [
    "the secret of another token",
    (words) =>
      words.with(words.indexOf("--token") + 1, words[words.indexOf("--token") + 1]!.replace(/.{16}$/, "a".repeat(16))),
    "has another secret in this cluster",
  ],
  ["no token", () => ["join"], "this machine is not in a cluster yet: --server and --token are needed"],
])("joining with %s ends with one clear line", async (_name, change, line) => {
  const words = change(await joinCommand());
  const given = [...words, "--runtime", "fake", "--data-dir", join(root, "five"), "--node-name", "five"];
  expect(await ended(given)).toEqual({ code: 1, line: expect.stringContaining(line) });
});

test("an expired token, and the folder of a cluster, end with one clear line", async () => {
  const expired = await ended(["token", "create", "--ttl", "1s", "--data-dir", skiff.dataDir]);
  const words = expired.line.split(" ").slice(1);
  await sleep(systemClock, 1500);
  const home = ["--runtime", "fake", "--node-name", "six"];
  expect(await ended([...words, ...home, "--data-dir", join(root, "six")])).toEqual({
    code: 1,
    line: expect.stringContaining("is not valid for this cluster or has expired: create one with skiff token create"),
  });
  expect(await ended([...words, ...home, "--data-dir", skiff.dataDir])).toEqual({
    code: 1,
    line: expect.stringContaining(`${skiff.dataDir} is a cluster's: choose another --data-dir`),
  });
});

test("a deleted token and a name that is taken end with one clear line", async () => {
  const words = await joinCommand();
  const home = ["--runtime", "fake", "--data-dir", join(root, "three")];
  const taken = await ended([...words, ...home, "--node-name", "one"]);
  expect(taken).toEqual({
    code: 1,
    line: expect.stringContaining("the cluster already has a node one that is Ready: choose another --node-name"),
  });
  const token = words[words.indexOf("--token") + 1]!;
  await once(run(["token", "delete", token, "--data-dir", skiff.dataDir]).child, "close");
  expect(await ended([...words, ...home, "--node-name", "three"])).toEqual({
    code: 1,
    line: expect.stringContaining("is not valid for this cluster or has expired: create one with skiff token create"),
  });
});
