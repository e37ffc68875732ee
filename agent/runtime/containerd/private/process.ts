import { spawn } from "node:child_process";
import { open, readdir, readFile } from "node:fs/promises";
import { RuntimeChannel } from "../channel.ts";
import { criClient } from "../cri-client.ts";

/**
 * The process that runs with this configuration, by whatever process it was started. It is found by its command line,
 * so it is never another program. `known` is checked first: on a machine with many processes the search costs much.
 */
export async function findProcess(config: string, known?: number): Promise<number | undefined> {
  if (known !== undefined && (await runs(String(known), config))) return known;
  for (const name of await readdir("/proc")) {
    if (/^\d+$/.test(name) && (await runs(name, config))) return Number(name);
  }
  return undefined;
}

async function runs(pid: string, config: string): Promise<boolean> {
  const parts = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  return parts[1] === "--config" && parts[2] === config && /(^|\/)containerd$/.test(parts[0] ?? "");
}

/** Starts it in its own session: it outlives this process, and containers outlive both. */
export async function startProcess(config: string, log: string): Promise<number> {
  const output = await open(log, "a", 0o600);
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn("containerd", ["--config", config], {
        detached: true,
        stdio: ["ignore", output.fd, output.fd],
      });
      child.on("error", reject);
      child.on("spawn", () => {
        child.unref();
        resolve(child.pid!);
      });
    });
  } finally {
    await output.close();
  }
}

const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // A child that has ended remains a zombie until its parent waits for it.
  return status !== "" && !/^\d+ \(.*\) Z/.test(status);
};

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until the runtime answers. Throws an Error with the end of its log when it exits, or after a minute. */
export async function waitUntilReady(socket: string, pid: number, log: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const channel = new RuntimeChannel(socket);
    try {
      await criClient(channel, "").runtime("Version", { version: "v1" }, { timeoutMilliseconds: 2000 });
      return;
    } catch (error) {
      const ended = !(await isAlive(pid));
      if (ended || Date.now() > deadline) {
        const tail = (await readFile(log, "utf8").catch(() => "")).split("\n").slice(-6).join("\n");
        const what = ended ? "ended at its start" : `does not answer at ${socket}`;
        throw new Error(`containerd ${what}; the end of its log:\n${tail}`, { cause: error });
      }
    } finally {
      channel.close();
    }
    await pause(50);
  }
}

/** Sends SIGTERM and waits for its end; kills it after 20 seconds. */
export async function endProcess(pid: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  process.kill(pid, "SIGTERM");
  while (await isAlive(pid)) {
    if (Date.now() > deadline) process.kill(pid, "SIGKILL");
    await pause(50);
  }
}
