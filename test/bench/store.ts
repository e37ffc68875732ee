import { readFileSync } from "node:fs";
import { dynoxidePath, makeTables, startDynoxide, startWriter, type WriterOrder } from "#store/dynamo/testing";
import { report } from "./measure.ts";

/*
 * The DynamoDB driver over an embedded engine, driven by processes of their own. The engine is one process over a file,
 * which is slower than the service; what the service allows is reported beside it: a partition takes 1,000 write units
 * a second, and a transactional write of a change takes two for each KB.
 */

const processes = 8;
const seconds = 5;
const clients = 4;
const bytes = 1024;

/** Changes a second that the log's partitions take. */
const ceiling = (shards: number): number => Math.floor((shards * 1000) / (2 * Math.ceil((bytes + 200) / 1024)));

/** Processor time of a process so far, in seconds. */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export async function benchStore(): Promise<void> {
  for (const shards of [1, 4]) {
    const engine = await startDynoxide(dynoxidePath()!);
    try {
      const common = { endpoint: engine.endpoint, tables: await makeTables(engine.endpoint), shards, type: "bench" };
      for (const does of ["commit", "read"] as const) {
        const before = processorTime(engine.pid);
        const started = performance.now();
        const writers = Array.from({ length: processes }, (_, place) =>
          startWriter({ ...common, name: `w${place}`, does, seconds, clients, bytes } satisfies WriterOrder),
        );
        await Promise.all(writers.map(({ ended }) => ended));
        const took = (performance.now() - started) / 1000;
        const sum = (name: string) => writers.reduce((total, { said }) => total + Number(said.at(-1)?.[name] ?? 0), 0);
        report(`store.dynamo.${does}`, sum("count") / seconds, "per second", {
          ...{ processes, clients, shards, bytes, seconds, refused: sum("refused") },
          ...(does === "commit" ? { ceiling: ceiling(shards) } : {}),
          engineCores: Number(((processorTime(engine.pid) - before) / took).toFixed(2)),
        });
      }
    } finally {
      await engine.stop();
    }
  }
}
