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

test("a deleted token and a name that is taken end with one clear line", async () => {
  const words = await joinCommand();
  const home = ["--runtime", "fake", "--data-dir", join(root, "three")];
  const ended = async (more: string[]) => {
    const { child, text } = run([...words, ...home, ...more]);
    return { code: (await once(child, "close"))[0], line: text().trim().split("\n").at(-1) };
  };
  const taken = await ended(["--node-name", "one"]);
  expect(taken).toEqual({
    code: 1,
    line: expect.stringContaining("the cluster already has a node one that is Ready: choose another --node-name"),
  });
  const token = words[words.indexOf("--token") + 1]!;
  await once(run(["token", "delete", token, "--data-dir", skiff.dataDir]).child, "close");
  expect(await ended(["--node-name", "three"])).toEqual({
    code: 1,
    line: expect.stringContaining("is not valid for this cluster or has expired: create one with skiff token create"),
  });
});
