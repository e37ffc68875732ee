import type { Files } from "./files.ts";

/** The container as its programs use it. */
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
  /** Waits; returns early when the process is killed. */
  sleep: (milliseconds: number) => Promise<void>;
  now: () => number;
  /** Listens on the pod's port and echoes, until the container exits. */
  listen: (port: number) => void;
}

/** Unwinds a killed process; the code that kills it sets the exit code. */
export class Killed extends Error {}
