/**
 * Run by crash.test.ts: `crash-writer.ts <file> <name> [until-refused]` writes as fast as it can and prints the
 * acknowledged writes.
 */
import { writeSync } from "node:fs";
import { isApiError } from "#base";
import type { Write } from "#store";
import { sqliteStore } from "../sqlite.ts";

const [, , path, name, mode] = process.argv;
const store = sqliteStore({ path: path! });
const body = new TextEncoder().encode("x".repeat(mode ? 20_000 : 1000));
const made = (type: "create", key: string): Write => ({
  type,
  key,
  body: () => body,
  schema: "s",
  index: { uid: key },
});

/** Written to the pipe at once: a killed process loses its buffers, and those lines would count as acknowledged. */
const say = (line: string) => void writeSync(1, `${line}\n`);

// An unhandled signal would end the process where the write should fail.
process.on("SIGXFSZ", () => {});

const tell = (type: string, key: string, revision: number) => say(`${revision} ${type}:${key};`);

/** Separate writes, so that a transaction holds complete and incomplete sequences. */
async function work(worker: number): Promise<void> {
  for (let index = 0; ; index++) {
    const key = `${name}/${worker}-${index}`;
    const [entry] = await store.commit("things", [made("create", key)]);
    if (entry === undefined || entry instanceof Error) throw entry;
    tell("create", key, entry.revision);
    const [changed] = await store.commit("things", [
      { ...made("create", key), type: index % 3 === 0 ? "delete" : "update", expected: entry.revision },
    ]);
    if (changed === undefined || changed instanceof Error) throw changed;
    tell(index % 3 === 0 ? "delete" : "update", key, changed.revision);
  }
}

async function fill(): Promise<void> {
  for (let batch = 0, refusals = 0; refusals < 3; batch++) {
    const keys = Array.from({ length: 8 }, (_, index) => `${name}/${batch}-${index}`);
    const results = await Promise.allSettled(keys.map((key) => store.commit("things", [made("create", key)])));
    for (const [index, result] of results.entries()) {
      if (result.status === "rejected") {
        refusals++;
        const { reason } = result;
        say(`refused ${isApiError(reason) ? reason.code : "?"} ${reason}`);
        continue;
      }
      const [entry] = result.value;
      if (entry === undefined || entry instanceof Error) throw entry;
      tell("create", keys[index]!, entry.revision);
    }
  }
  process.exit(0);
}

await (mode === "until-refused" ? fill() : Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(work)));
