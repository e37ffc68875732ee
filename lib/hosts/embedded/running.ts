import { readFileSync } from "node:fs";
import { messageOf, type Progress, systemClock, type Timer } from "#base";
import { dataFolder, Refusal, unusable } from "./data-folder.ts";
import { isFullDisk } from "./disk.ts";

/** Cleanup steps, run in reverse order. */
export type Stack = (() => Promise<void> | void)[];

/** Milliseconds that an orderly stop may take before the process exits without it. */
const longestEnd = 30_000;

/**
 * Runs a command until it resolves or a signal ends it. Resolves with the exit code; an error is shown in one line, and
 * with its stack when the options are verbose.
 */
export async function untilSignal(
  { dataDir, verbose }: { dataDir: string; verbose: boolean },
  progress: Progress,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const stopping = new AbortController();
  const release = endBySignal(stopping);
  try {
    await run(stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    progress.fail(reasonOf(error, dataDir));
    if (verbose && error instanceof Error && error.stack) progress.note(error.stack);
    return 1;
  } finally {
    release();
  }
}

/**
 * Signals abort. A step of the start that ignores the signal delays the end, and does not prevent it. Returns a
 * function that removes the handlers.
 */
function endBySignal(stopping: AbortController): () => void {
  // Under nohup a hang-up is ignored, and stays so.
  const signals = (["SIGINT", "SIGTERM", "SIGHUP"] as const).filter((name) => name !== "SIGHUP" || !hangUpIgnored());
  let cut: Timer | undefined;
  const stop = () => {
    stopping.abort();
    cut = systemClock.timer(longestEnd, () => process.exit(1));
  };
  for (const name of signals) process.once(name, stop);
  // A closed terminal accepts no more output.
  const ignore = () => {};
  for (const output of [process.stdout, process.stderr]) output.on("error", ignore);
  return () => {
    cut?.cancel();
    for (const name of signals) process.off(name, stop);
    for (const output of [process.stdout, process.stderr]) output.off("error", ignore);
  };
}

/** Whether this process was started with SIGHUP ignored, as by nohup. */
function hangUpIgnored(): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** One line with the way to correct the error. */
function reasonOf(error: unknown, dataDir: string): string {
  if (error instanceof Refusal) return error.message;
  if (isFullDisk(error)) return unusable(dataFolder(dataDir), error).message;
  return messageOf(error);
}

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true }),
  );
