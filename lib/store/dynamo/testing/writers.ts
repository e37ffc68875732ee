import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Told, WriterOrder } from "./writer.ts";

export type { Told, WriterOrder };

export interface Writer {
  process: ChildProcess;
  /** What it has said so far, line by line; the last may have been cut short by a kill, and is left out then. */
  said: Record<string, unknown>[];
  /** Resolves when it has ended and everything that it said is there. */
  ended: Promise<void>;
}

/** Starts a writer in a process of its own. */
export function startWriter(order: WriterOrder): Writer {
  const program = join(import.meta.dirname, "writer.ts");
  const child = spawn(process.execPath, [program, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
  const said: Record<string, unknown>[] = [];
  const read = async (): Promise<void> => {
    for await (const line of createInterface({ input: child.stdout! })) {
      if (line.endsWith("}")) said.push(JSON.parse(line) as Record<string, unknown>);
    }
  };
  const ended = Promise.all([once(child, "exit"), read()]).then(() => {});
  return { process: child, said, ended };
}
