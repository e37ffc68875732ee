import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change } from "#store";
import { sqliteStore } from "#store/sqlite";

const rounds = 20;
const acknowledgementsPerRound = 150;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skiff-crash-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that writes to the store and prints one line per acknowledged write. */
const writer = (...argv: string[]): ChildProcess =>
  spawn(
    process.execPath,
    [join(import.meta.dirname, "testing", "crash-writer.ts"), join(folder, "store.db"), ...argv],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );

const exit = (child: ChildProcess) => new Promise<void>((resolve) => child.once("close", () => resolve()));

async function wholeLog(): Promise<Change[]> {
  const store = sqliteStore({ path: join(folder, "store.db") });
  const head = await store.head("things");
  const log: Change[] = [];
  for (let at = 1; at < head; ) {
    const { changes, through } = await store.changes("things", at);
    log.push(...changes);
    at = through;
  }
  // The objects must agree with the log.
  const state = new Map<string, number>();
  for (const { type, key, revision } of log) {
    if (type === "delete") state.delete(key);
    else state.set(key, revision);
  }
  const { entries } = await store.list("things");
  expect(new Map(entries.map((entry) => [entry.key, entry.revision]))).toEqual(state);
  await store.close();
  return log;
}

describe("sqliteStore when its process dies", () => {
  it("has every acknowledged write after each of twenty kills, in a log without gaps", async () => {
    const acknowledged = new Map<number, string>();
    for (let round = 0; round < rounds; round++) {
      const child = writer(`r${round}`);
      const closed = exit(child);
      let count = 0;
      for await (const line of createInterface({ input: child.stdout! })) {
        const [revision, what] = line.split(" ");
        // An incomplete line names no write.
        if (what?.endsWith(";")) acknowledged.set(Number(revision), what);
        if (++count === acknowledgementsPerRound + round * 7) child.kill("SIGKILL");
      }
      await closed;
      expect(child.signalCode).toBe("SIGKILL");
    }
    const log = await wholeLog();
    expect(acknowledged.size).toBeGreaterThan(rounds * acknowledgementsPerRound);
    expect(log.map((change) => change.revision)).toEqual(log.map((_, index) => index + 2));
    const logged = new Map(log.map((change) => [change.revision, `${change.type}:${change.key};`]));
    const missing = [...acknowledged].filter(([revision, what]) => logged.get(revision) !== what);
    expect(missing).toEqual([]);
  }, 120_000);

  it("stores nothing of a transaction that the disk refused, and everything before it", async () => {
    const limited = spawn(
      "sh",
      [
        "-c",
        'ulimit -f 16384; exec "$0" "$@"',
        process.execPath,
        join(import.meta.dirname, "testing", "crash-writer.ts"),
        join(folder, "store.db"),
        "full",
        "until-refused",
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const closed = exit(limited);
    const acknowledged: string[] = [];
    const refused: string[] = [];
    for await (const line of createInterface({ input: limited.stdout! })) {
      if (line.startsWith("refused")) refused.push(line);
      else acknowledged.push(line);
    }
    await closed;
    const log = await wholeLog();
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(log.map((change) => `${change.revision} ${change.type}:${change.key};`)).toEqual(acknowledged);
    expect(refused.length).toBeGreaterThan(1);
    for (const line of refused) expect(line).toMatch(/^refused 500 .*the store could not write: .*(full|disk I\/O)/);
  }, 60_000);
});
