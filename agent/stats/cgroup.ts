import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Pressure stall information of one resource: totals in microseconds, averages in percent. */
export interface PressureLine {
  avg10: number;
  avg60: number;
  avg300: number;
  total: number;
}
export interface Pressure {
  some: PressureLine;
  full: PressureLine;
}

/** What the kernel counts for one cgroup and all cgroups below it. Bytes and nanoseconds. */
export interface CgroupUsage {
  cpu: {
    total: number;
    user: number;
    system: number;
    /** Enforcement periods of a quota; absent where there is none. */
    periods?: number;
    throttledPeriods?: number;
    throttled?: number;
  };
  memory: {
    usage: number;
    /** The usage without file pages that the kernel can drop first. */
    workingSet: number;
    rss: number;
    cache: number;
    mappedFile: number;
    pageFaults: number;
    majorPageFaults: number;
    /** Absent: no limit. */
    limit?: number;
  };
  /** Absent where the kernel does not count swap. */
  swap?: { usage: number; limit?: number };
  threads?: number;
  pressure?: { cpu?: Pressure; memory?: Pressure; io?: Pressure };
}

/** Kernels write "no limit" of cgroup v1 as a number near 2^63. */
const unlimitedV1 = 2 ** 62;
/** Nanoseconds of a clock tick of cpuacct.stat: Linux reports 100 a second to programs on every platform. */
const tick = 1e7;

/** Reads cgroups of both versions below the mount point, which is `/sys/fs/cgroup` on every distribution. */
export class Cgroups {
  readonly #mount: string;
  #isUnified: Promise<boolean> | undefined;

  constructor(mount = "/sys/fs/cgroup") {
    this.#mount = mount;
  }

  /** The usage of a cgroup, by its path below the mount point. Undefined where it does not exist. */
  async read(path: string): Promise<CgroupUsage | undefined> {
    this.#isUnified ??= stat(join(this.#mount, "cgroup.controllers")).then(
      () => true,
      () => false,
    );
    return (await this.#isUnified) ? this.#readUnified(path) : this.#readControllers(path);
  }

  async #readUnified(path: string): Promise<CgroupUsage | undefined> {
    const text = (file: string) => this.#text("", path, file);
    const [cpuStat, usageText, memoryStat] = await Promise.all(["cpu.stat", "memory.current", "memory.stat"].map(text));
    if (cpuStat === undefined || usageText === undefined || memoryStat === undefined) return undefined;
    const names = ["memory.max", "memory.swap.current", "memory.swap.max", "pids.current"];
    const [limit, swap, swapLimit, threads] = await Promise.all(names.map(text));
    const [cpu, memory] = [keyed(cpuStat), keyed(memoryStat)];
    const usage = Number(usageText);
    const periods = cpu["nr_periods"] ?? 0;
    return {
      cpu: {
        total: (cpu["usage_usec"] ?? 0) * 1000,
        user: (cpu["user_usec"] ?? 0) * 1000,
        system: (cpu["system_usec"] ?? 0) * 1000,
        ...(periods > 0
          ? {
              periods,
              throttledPeriods: cpu["nr_throttled"] ?? 0,
              throttled: (cpu["throttled_usec"] ?? 0) * 1000,
            }
          : {}),
      },
      memory: {
        usage,
        workingSet: Math.max(0, usage - (memory["inactive_file"] ?? 0)),
        rss: memory["anon"] ?? 0,
        cache: memory["file"] ?? 0,
        mappedFile: memory["file_mapped"] ?? 0,
        pageFaults: memory["pgfault"] ?? 0,
        majorPageFaults: memory["pgmajfault"] ?? 0,
        ...limitOf(limit),
      },
      ...(swap === undefined ? {} : { swap: { usage: Number(swap), ...limitOf(swapLimit) } }),
      ...(threads === undefined ? {} : { threads: Number(threads) }),
      ...(await this.#pressure(path)),
    };
  }

  async #pressure(path: string): Promise<Pick<CgroupUsage, "pressure">> {
    const [cpu, memory, io] = await Promise.all(
      ["cpu.pressure", "memory.pressure", "io.pressure"].map(async (file) =>
        pressureOf((await this.#text("", path, file)) ?? ""),
      ),
    );
    if (!cpu && !memory && !io) return {};
    return { pressure: { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}), ...(io ? { io } : {}) } };
  }

  async #readControllers(path: string): Promise<CgroupUsage | undefined> {
    const [total, times, throttling] = await Promise.all([
      this.#text("cpuacct", path, "cpuacct.usage"),
      this.#text("cpuacct", path, "cpuacct.stat"),
      this.#text("cpu", path, "cpu.stat"),
    ]);
    const [usageText, memoryStat, limit, threads] = await Promise.all([
      this.#text("memory", path, "memory.usage_in_bytes"),
      this.#text("memory", path, "memory.stat"),
      this.#text("memory", path, "memory.limit_in_bytes"),
      this.#text("pids", path, "pids.current"),
    ]);
    if (total === undefined || usageText === undefined || memoryStat === undefined) return undefined;
    const [cpu, throttled, memory] = [keyed(times ?? ""), keyed(throttling ?? ""), keyed(memoryStat)];
    const usage = Number(usageText);
    const periods = throttled["nr_periods"] ?? 0;
    return {
      cpu: {
        total: Number(total),
        user: (cpu["user"] ?? 0) * tick,
        system: (cpu["system"] ?? 0) * tick,
        ...(periods > 0
          ? {
              periods,
              throttledPeriods: throttled["nr_throttled"] ?? 0,
              throttled: throttled["throttled_time"] ?? 0,
            }
          : {}),
      },
      memory: {
        usage,
        workingSet: Math.max(0, usage - (memory["total_inactive_file"] ?? 0)),
        rss: memory["total_rss"] ?? 0,
        cache: memory["total_cache"] ?? 0,
        mappedFile: memory["total_mapped_file"] ?? 0,
        pageFaults: memory["total_pgfault"] ?? 0,
        majorPageFaults: memory["total_pgmajfault"] ?? 0,
        ...limitOf(limit),
      },
      ...(memory["total_swap"] === undefined ? {} : { swap: { usage: memory["total_swap"] } }),
      ...(threads === undefined ? {} : { threads: Number(threads) }),
    };
  }

  async #text(controller: string, path: string, file: string): Promise<string | undefined> {
    // A cgroup ends with its last process: a file may be gone at any moment.
    return readFile(join(this.#mount, controller, path, file), "utf8").catch(() => undefined);
  }
}

function limitOf(text: string | undefined): { limit?: number } {
  const limit = Number(text ?? "max");
  return Number.isNaN(limit) || limit >= unlimitedV1 ? {} : { limit };
}

/** A file of lines `key value`. */
function keyed(text: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) found[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return found;
}

/** The file of a resource's pressure; undefined for other text. Older kernels have no line `full` for the cpu. */
export function pressureOf(text: string): Pressure | undefined {
  const lines = new Map<string, PressureLine>();
  for (const [, kind, avg10, avg60, avg300, total] of text.matchAll(
    /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$/gm,
  )) {
    lines.set(kind!, { avg10: Number(avg10), avg60: Number(avg60), avg300: Number(avg300), total: Number(total) });
  }
  const some = lines.get("some");
  return some && { some, full: lines.get("full") ?? { avg10: 0, avg60: 0, avg300: 0, total: 0 } };
}

/** The path of a systemd slice: `a-b.slice` is in `a.slice`. Other names are paths already. */
export function slicePath(name: string): string {
  if (!name.endsWith(".slice")) return name;
  const parts = name.slice(0, -".slice".length).split("-");
  return `/${parts.map((_, index) => `${parts.slice(0, index + 1).join("-")}.slice`).join("/")}`;
}
