import { execFile, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What of systemd's logind delays a shutdown. Every method rejects where the machine has no logind. */
export interface Logind {
  /** The longest time that a lock delays a shutdown. */
  delaySeconds(): Promise<number>;
  /** Configures it. */
  setDelay(seconds: number): Promise<void>;
  /** Takes a lock, which ends with this process too. Resolves with its release once it is held. */
  lock(): Promise<() => void>;
  /** True when a shutdown has begun, false when it was cancelled, until the signal aborts. */
  shutdowns(signal: AbortSignal): AsyncIterable<boolean>;
}

const manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
const override = "/etc/systemd/logind.conf.d/99-kubelet.conf";

/** logind by systemd's own programs. `file` is the configuration that raises the delay. */
export function systemdLogind(file = override): Logind {
  return {
    delaySeconds: async () => {
      const { stdout } = await run("busctl", ["get-property", ...manager, "InhibitDelayMaxUSec"]);
      return Number(stdout.trim().split(" ")[1] ?? 0) / 1e6;
    },
    setDelay: async (seconds) => {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, `# Kubelet logind override\n[Login]\nInhibitDelayMaxSec=${seconds}\n`);
      await run("systemctl", ["kill", "--signal=SIGHUP", "systemd-logind.service"]);
    },
    lock,
    shutdowns,
  };
}

/** The lock is that of a program which ends with its input: it ends when this process does. */
function lock(): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const why = "Kubelet needs time to handle node shutdown";
    const holder = spawn(
      "systemd-inhibit",
      [
        "--what=shutdown",
        "--who=kubelet",
        `--why=${why}`,
        "--mode=delay",
        "sh",
        "-c",
        "echo held; exec cat >/dev/null",
      ],
      { stdio: ["pipe", "pipe", "ignore"] },
    );
    holder.on("error", reject);
    holder.on("exit", (code) => reject(new Error(`systemd-inhibit ended with ${code}`)));
    // The program may end first.
    holder.stdin.on("error", () => {});
    holder.stdout.once("data", () => resolve(() => void holder.stdin.end()));
  });
}

async function* shutdowns(signal: AbortSignal): AsyncGenerator<boolean> {
  const match = `type='signal',interface='${manager[2]}',member='PrepareForShutdown'`;
  const monitor = spawn("busctl", ["monitor", "--json=short", `--match=${match}`], {
    stdio: ["ignore", "pipe", "ignore"],
    signal,
  });
  const failed = new Promise<never>((_, reject) => monitor.on("error", reject));
  failed.catch(() => {});
  try {
    for await (const line of createInterface({ input: monitor.stdout })) {
      const begins = beginsIn(line);
      if (begins !== undefined) yield begins;
    }
    if (!signal.aborted) await Promise.race([failed, Promise.reject(new Error("busctl monitor ended"))]);
  } finally {
    monitor.kill();
  }
}

/** The argument of a PrepareForShutdown signal; undefined for other lines. */
function beginsIn(line: string): boolean | undefined {
  try {
    const { member, payload } = JSON.parse(line) as { member?: string; payload?: { data?: unknown[] } };
    return member === "PrepareForShutdown" ? payload?.data?.[0] === true : undefined;
  } catch {
    return undefined;
  }
}
