import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

/** A network namespace of its own, which exists as long as its process. */
export class Network {
  readonly pid: number;
  readonly #processes: ChildProcess[];

  private constructor(holder: ChildProcess) {
    this.pid = holder.pid!;
    this.#processes = [holder];
  }

  /** It ends by itself after so many seconds. */
  static async open(seconds = 1000): Promise<Network> {
    const script = `ip link set lo up && echo ready && exec sleep ${seconds}`;
    const holder = spawn("unshare", ["-n", "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    return new Network(holder);
  }

  /** Options of nsenter that enter it. */
  get flags(): string[] {
    return ["-t", `${this.pid}`, "-n"];
  }

  /** A process that ends with the namespace. */
  own(child: ChildProcess): void {
    this.#processes.push(child);
  }

  /** Runs a program in it and returns its output without spaces around. */
  run(program: string, ...args: string[]): string {
    return this.input("", program, ...args);
  }

  input(input: string, program: string, ...args: string[]): string {
    const options = { input, encoding: "utf8", maxBuffer: 2 ** 28 } as const;
    return execFileSync("nsenter", [...this.flags, program, ...args], options).trim();
  }

  close(): void {
    for (const child of this.#processes) child.kill();
  }
}
