import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConfigMap, configMaps } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, until } from "./client.ts";

let folder = "";
let dataDir = "";
let skiff: SkiffProcess | undefined;
let client: HttpClient;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "skiff-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=96m", "tmpfs", folder]);
  dataDir = join(folder, "data");
});
afterAll(async () => {
  client?.close();
  if (skiff && skiff.process.exitCode === null && skiff.process.signalCode === null) {
    skiff.process.kill("SIGKILL");
    await once(skiff.process, "exit");
  }
  // The agent ends a second after the process that started it.
  await until(async () => {
    try {
      execFileSync("umount", [folder], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  rmSync(folder, { recursive: true, force: true });
});

const start = async (): Promise<void> => {
  skiff = await startSkiff(["--runtime", "fake"], dataDir);
  client?.close();
  client = connect(dataDir);
};

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, ["lib/cli/skiff.ts", ...words, "--data-dir", dataDir]);
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.err += chunk;
  });
  const [code] = await once(child, "close");
  return { code, ...said };
}

/** Fills the disk except for so many bytes. */
function fillDisk(left = 0): void {
  const file = openSync(join(folder, "filler"), "a");
  const { bavail, bsize } = statfsSync(folder);
  try {
    const block = Buffer.alloc(4096);
    for (let bytes = bavail * bsize - left; bytes > 0; bytes -= block.length) writeSync(file, block);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
  } finally {
    closeSync(file);
  }
}
const emptyDisk = () => rmSync(join(folder, "filler"), { force: true });

const ready = (): Promise<{ status: number; body: string }> => {
  const read = (file: string) => readFileSync(join(dataDir, "pki", file), "utf8");
  const { server } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { server: string };
  return new Promise((resolve, reject) => {
    const identity = { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key") };
    const asked = request(`${server}/readyz?verbose`, { ...identity, agent: false }, (answer) => {
      let body = "";
      answer.on("data", (chunk) => {
        body += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on("error", reject).end();
  });
};

const make = (name: string, bytes = 100_000) =>
  client.create(configMaps, {
    metadata: { name, namespace: "default" },
    data: { text: "x".repeat(bytes) },
  } as ConfigMap);
const remove = (name: string) => client.delete(configMaps, { namespace: "default", name });
/** Creates objects until the disk is full. Returns the refusal. */
async function makeUntilFull(prefix: string): Promise<string> {
  for (let index = 0; index < 2000; index++) {
    try {
      await make(`${prefix}-${index}`);
    } catch (error) {
      return String(error);
    }
  }
  throw new Error("the disk does not become full");
}
const all = async () => (await client.list(configMaps, { namespace: "default" })).items;

test("on a full disk readyz fails, status and log report it, and only growing writes are rejected", async () => {
  await start();
  expect((await ready()).status).toBe(200);
  for (let index = 0; index < 30; index++) await make(`early-${index}`);
  fillDisk();
  expect(await makeUntilFull("late")).toMatch(
    /the disk that holds .*store\.db is full: .* only deletions are accepted/,
  );
  const trouble = `the disk that holds the data folder ${dataDir} is full`;
  const answer = await ready();
  expect(answer.status).toBe(500);
  expect(answer.body).toContain(`[-]disk failed: ${trouble}`);
  const status = await run("status");
  expect(status.code).toBe(1);
  expect(status.out).toContain(`FAIL  disk: ${trouble}`);
  expect(readFileSync(join(dataDir, "logs", "control-plane.log"), "utf8")).toContain(trouble);

  const before = (await all()).length;
  const [first] = await all();
  const update = (object: ConfigMap) => client.update(configMaps, object);
  await update({ ...first!, metadata: { ...first!.metadata, labels: { still: "writable" } } });
  await expect(update({ ...(await all())[1]!, data: { text: "y".repeat(200_000) } })).rejects.toThrow("full");
  for (let index = 0; index < 20; index++) await remove(`early-${index}`);
  expect((await all()).length).toBe(before - 20);
});

test("a cluster that crashed on a full disk starts again, and its objects can be deleted", async () => {
  skiff!.process.kill("SIGKILL");
  await once(skiff!.process, "exit");
  await start();
  fillDisk();
  await makeUntilFull("again");
  for (let index = 20; index < 25; index++) await remove(`early-${index}`);
});

test("recovers without help when there is space again", async () => {
  emptyDisk();
  await until(async () => (await ready()).status === 200, 30);
  await make("fresh");
  expect((await run("status")).code).toBe(0);
});

test("deletions alone free a disk that the cluster itself has filled", async () => {
  expect(await makeUntilFull("own")).toContain("only deletions are accepted");
  expect((await ready()).status).toBe(500);
  for (const { metadata } of await all()) if (metadata.name !== "fresh") await remove(metadata.name!);
  await until(async () => (await ready()).status === 200, 30);
  await make("afterwards");
});

test("a start without any space names the folder", async () => {
  skiff!.process.kill("SIGTERM");
  await once(skiff!.process, "exit");
  rmSync(join(dataDir, "reserve"), { force: true });
  fillDisk();
  dataDir = join(folder, "other");
  const { code, err } = await run("up", "--runtime", "fake", "--port", "0");
  expect(code).toBe(1);
  expect(err.trim().split("\n").at(-1)).toMatch(
    new RegExp(`the data folder ${dataDir} cannot be used: the disk .* is full`),
  );
});

test.each([
  ["a read-only file system", "ro", /its file system is read-only/],
  ["a file system of another kind", "cgroup", /cannot be used: /],
])("rejects %s in one line", async (_name, kind, words) => {
  const place = mkdtempSync(join(tmpdir(), "skiff-odd-"));
  if (kind === "ro") {
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro,size=8m", "tmpfs", place]);
    dataDir = join(place, "data");
  } else {
    dataDir = "/sys/fs/cgroup/memory/skiff-odd";
    mkdirSync(dataDir);
  }
  try {
    const { code, err } = await run("up", "--runtime", "fake", "--port", "0");
    expect(code).toBe(1);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect(err).toMatch(words);
    expect(err).toContain(dataDir);
  } finally {
    if (kind === "ro") execFileSync("umount", [place]);
    else execFileSync("find", [dataDir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
    rmSync(place, { recursive: true, force: true });
  }
});
