import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { environmentOf, type Setting } from "../kubectl/runner.ts";

/** A command that runs beside the test. */
export class Running {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #said = "";

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, args, { env });
    this.#ended = once(this.#child, "close");
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.on("data", (chunk: Buffer) => {
        this.#said += chunk;
      });
    }
    this.#child.stdin?.on("error", () => {});
  }

  /** Both of its outputs so far. */
  get said(): string {
    return this.#said;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Waits for output that matches, as long as the command runs. Throws with its output. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      const found = pattern.exec(this.#said);
      if (found) return found;
      if (ended) throw new Error(`no ${pattern} in:\n${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until it has ended by itself; its exit code. */
  async end(): Promise<number | null> {
    this.#child.stdin?.end();
    await this.#ended;
    return this.#child.exitCode;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }
}

/** Runs a kubectl command. */
export const kubectlBeside = (setting: Setting, ...args: string[]): Running =>
  new Running(setting.kubectl, args, environmentOf(setting));

/** Runs a kubectl command in a terminal of 91 columns and 37 rows, whose device it prints first. */
export function kubectlInTerminal(setting: Setting, ...args: string[]): Running {
  const words = [setting.kubectl, ...args].map((word) => `'${word}'`).join(" ");
  const script = `tty; stty cols 91 rows 37; exec ${words}`;
  return new Running("script", ["-qec", script, "/dev/null"], { ...environmentOf(setting), SHELL: "/bin/sh" });
}
