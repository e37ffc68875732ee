import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Acknowledged, WriterOrder } from "./writer.ts";

export type { Acknowledged, WriterOrder };

export interface Writer {
  process: ChildProcess;
  /** Its output so far, by lines, without an incomplete last one. */
  said: Record<string, unknown>[];
  /** Resolves when it has ended and its output is complete. */
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
