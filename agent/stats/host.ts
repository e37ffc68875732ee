import { readFile, statfs } from "node:fs/promises";
import { type CgroupUsage, type Pressure, pressureOf } from "./cgroup.ts";

/** A file system. Bytes and inodes. */
export interface Filesystem {
  capacity: number;
  available: number;
  used: number;
  inodes: number;
  inodesFree: number;
}

export interface InterfaceCounters {
  name: string;
  receivedBytes: number;
  receiveErrors: number;
  sentBytes: number;
  sendErrors: number;
}

/** What the kernel counts for the whole machine. */
export interface HostUsage {
  /** Nanoseconds of all processors since the start of the machine. */
  cpu: number;
  memory: CgroupUsage["memory"] & { available: number };
  swap: { usage: number; available: number };
  pressure: NonNullable<CgroupUsage["pressure"]>;
}

const tick = 1e7;

/** Reads the machine's counters. Missing files count as zero. */
export async function readHost(proc = "/proc"): Promise<HostUsage> {
  const text = (path: string): Promise<string> => readFile(`${proc}/${path}`, "utf8").catch(() => "");
  const [stat, meminfo, vmstat] = await Promise.all([text("stat"), text("meminfo"), text("vmstat")]);
  const pressures = await Promise.all(
    ["cpu", "memory", "io"].map(async (name) => pressureOf(await text(`pressure/${name}`))),
  );
  const [cpu, memory, io] = pressures as (Pressure | undefined)[];
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  const counter = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(vmstat)?.[1] ?? 0);
  const usage = kilobytes("MemTotal") - kilobytes("MemFree");
  // As the kubelet: file pages that have not been used lately are available.
  const workingSet = Math.max(0, usage - kilobytes("Inactive\\(file\\)"));
  return {
    cpu: busyTicks(stat) * tick,
    memory: {
      usage,
      workingSet,
      available: kilobytes("MemTotal") - workingSet,
      rss: kilobytes("AnonPages"),
      cache: kilobytes("Cached"),
      mappedFile: kilobytes("Mapped"),
      pageFaults: counter("pgfault"),
      majorPageFaults: counter("pgmajfault"),
    },
    swap: { usage: kilobytes("SwapTotal") - kilobytes("SwapFree"), available: kilobytes("SwapFree") },
    pressure: { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}), ...(io ? { io } : {}) },
  };
}

/** user, nice, system, irq, softirq and steal: all but idle and waiting; guests are counted as users. */
function busyTicks(stat: string): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (stat.split("\n")[0] ?? "")
    .split(/\s+/)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
}

/** The file system that holds a path; undefined where the path does not exist. */
export async function filesystemOf(path: string): Promise<Filesystem | undefined> {
  const found = await statfs(path).catch(() => undefined);
  if (!found) return undefined;
  const { bsize, blocks, bfree, bavail, files, ffree } = found;
  return {
    capacity: blocks * bsize,
    available: bavail * bsize,
    used: (blocks - bfree) * bsize,
    inodes: files,
    inodesFree: ffree,
  };
}

/** The counters of network interfaces of the process's network namespace, without the loopback. */
export async function readInterfaces(path = "/proc/net/dev"): Promise<InterfaceCounters[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const found = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    if (!found || found[1] === "lo") return [];
    const numbers = found[2]!.trim().split(/\s+/).map(Number);
    const [receivedBytes = 0, , receiveErrors = 0] = numbers;
    const [sentBytes = 0, , sendErrors = 0] = numbers.slice(8);
    return [{ name: found[1]!, receivedBytes, receiveErrors, sentBytes, sendErrors }];
  });
}

/** The interface of the default route; undefined without one. */
export async function defaultInterface(path = "/proc/net/route"): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  const rows = text.split("\n").map((line) => line.split("\t"));
  return rows.find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0];
}

/** The most processes of the machine, and how many there are now, threads included. */
export async function readProcesses(proc = "/proc"): Promise<{ most: number; now: number }> {
  const number = async (path: string): Promise<number> =>
    Number(await readFile(`${proc}/${path}`, "utf8").catch(() => Number.POSITIVE_INFINITY));
  const most = Math.min(await number("sys/kernel/pid_max"), await number("sys/kernel/threads-max"));
  const loadavg = await readFile(`${proc}/loadavg`, "utf8").catch(() => "");
  return { most: Number.isFinite(most) ? most : 0, now: Number(/\d+\/(\d+)/.exec(loadavg)?.[1] ?? 0) };
}
