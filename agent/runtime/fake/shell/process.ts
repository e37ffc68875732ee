import type { Files } from "./files.ts";

/** What a command sees of the container it runs in. */
export interface Process {
  args: string[];
  env: Record<string, string>;
  cwd: string;
  hostname: string;
  files: Files;
  stdin: AsyncIterable<Uint8Array>;
  stdout: (bytes: Uint8Array) => void;
  stderr: (bytes: Uint8Array) => void;
  /** Aborts when the process is killed. */
  signal: AbortSignal;
  /** Waits, or until it is killed. */
  sleep: (milliseconds: number) => Promise<void>;
  now: () => number;
  /** Answers on the pod's port, sending back what comes, until the container ends. */
  listen: (port: number) => void;
}

/** Unwinds a killed process; whoever killed it knows the exit code. */
export class Killed extends Error {}
