import { spawn } from "node:child_process";
import { once } from "node:events";

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Receives standard output as it is written. */
  output?: (text: string) => void;
  /** Exit codes that are not failures. Default: 0. */
  codes?: readonly number[];
}

/** Runs a program to its end. Rejects with its last output where it cannot be started or fails. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, env, output, codes = [0] }: RunOptions = {},
): Promise<{ stdout: string; code: number }> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd ? { cwd } : {}),
    ...(env ? { env } : {}),
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (output) output(text);
    else stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  const stop = (): void => void child.kill("SIGTERM");
  process.once("exit", stop);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code === null || !codes.includes(code)) {
      throw new Error(`${program} ended with ${code === null ? "a signal" : `code ${code}`}: ${stderr.trim()}`);
    }
    return { stdout, code };
  } finally {
    process.off("exit", stop);
  }
}
