import { mkdir, readdir, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ResourceSpec } from "./spec.ts";

/** A file of a cgroup with its new content. `controller` is the hierarchy of cgroup v1. */
interface CgroupFile {
  controller: "cpu" | "memory";
  name: string;
  text: string;
}

/** The controllers of the kubelet's cgroups. */
const controllers = ["cpu", "memory"] as const;

/** Files of cgroup v1. The period is written before the quota that it bounds. */
function controllerFiles({ cpuShares, cpuQuota, cpuPeriod, memoryBytes }: ResourceSpec): CgroupFile[] {
  const file = (controller: CgroupFile["controller"], name: string, value: number | undefined): CgroupFile[] =>
    value === undefined ? [] : [{ controller, name, text: String(value) }];
  return [
    ...file("cpu", "cpu.shares", cpuShares),
    ...file("cpu", "cpu.cfs_period_us", cpuPeriod),
    ...file("cpu", "cpu.cfs_quota_us", cpuQuota),
    ...file("memory", "memory.limit_in_bytes", memoryBytes),
  ];
}

/** The weight of cgroup v2 for shares of cgroup v1 (upstream's getCPUWeight). */
const weightOf = (shares: number): number => 1 + Math.floor(((Math.max(shares, 2) - 2) * 9999) / 262_142);

/** Files of cgroup v2. */
function unifiedFiles({ cpuShares, cpuQuota, cpuPeriod, memoryBytes, unified = {} }: ResourceSpec): CgroupFile[] {
  const quota = cpuQuota === undefined || cpuQuota < 0 ? "max" : String(cpuQuota);
  return [
    ...(cpuShares === undefined
      ? []
      : [{ controller: "cpu" as const, name: "cpu.weight", text: String(weightOf(cpuShares)) }]),
    ...(cpuPeriod === undefined
      ? []
      : [{ controller: "cpu" as const, name: "cpu.max", text: `${quota} ${cpuPeriod}` }]),
    ...(memoryBytes === undefined
      ? []
      : [{ controller: "memory" as const, name: "memory.max", text: memoryBytes < 0 ? "max" : String(memoryBytes) }]),
    ...Object.entries(unified).map(([name, text]) => ({ controller: "memory" as const, name, text })),
  ];
}

/**
 * Cgroups by their path, such as `/kubepods/podabc`: one hierarchy with cgroup v2, one for each controller with cgroup
 * v1. The mount point is the same on every distribution.
 */
export class CgroupTree {
  readonly #mount: string;

  constructor(mount = "/sys/fs/cgroup") {
    this.#mount = mount;
  }

  /** Whether the machine has cgroup v2 only. */
  isUnified(): Promise<boolean> {
    return stat(join(this.#mount, "cgroup.controllers")).then(
      () => true,
      () => false,
    );
  }

  /**
   * Creates the cgroup if it is missing, and sets these limits; absent ones stay as they are. Throws with the file's
   * path when the kernel refuses a value, as it does for a memory limit below what is in use.
   */
  async apply(path: string, resources: ResourceSpec): Promise<void> {
    const isUnified = await this.isUnified();
    await this.#create(path, isUnified);
    for (const { controller, name, text } of isUnified ? unifiedFiles(resources) : controllerFiles(resources)) {
      await writeFile(join(this.#mount, isUnified ? "" : controller, path, name), text);
    }
  }

  /**
   * The limits of a cgroup: bytes of memory, and microseconds of cpu per period; an absent one is none. Undefined where
   * the cgroup does not exist.
   */
  async read(path: string): Promise<Pick<ResourceSpec, "memoryBytes" | "cpuQuota" | "cpuShares"> | undefined> {
    const isUnified = await this.isUnified();
    const text = (controller: string, name: string): Promise<string> =>
      readFile(join(this.#mount, isUnified ? "" : controller, path, name), "utf8").then(
        (content) => content.trim(),
        () => "",
      );
    const memory = await text("memory", isUnified ? "memory.max" : "memory.limit_in_bytes");
    if (memory === "") return undefined;
    const quota = (await text("cpu", isUnified ? "cpu.max" : "cpu.cfs_quota_us")).split(" ")[0] ?? "";
    const shares = isUnified ? "" : await text("cpu", "cpu.shares");
    // The kernel writes "no limit" of cgroup v1 as a number near 2^63.
    const isLimited = memory !== "max" && Number(memory) < 2 ** 62;
    return {
      ...(isLimited ? { memoryBytes: Number(memory) } : {}),
      ...(Number(quota) > 0 ? { cpuQuota: Number(quota) } : {}),
      ...(shares === "" ? {} : { cpuShares: Number(shares) }),
    };
  }

  /** The names of the cgroup's children that have no process in any hierarchy, in themselves or below. */
  async idleChildren(path: string): Promise<string[]> {
    const idle = new Map<string, boolean>();
    for (const tree of ["", ...(await readdir(this.#mount).catch(() => [] as string[]))]) {
      const parent = join(this.#mount, tree, path);
      for (const name of await foldersIn(parent)) {
        idle.set(name, idle.get(name) !== false && !(await hasProcess(join(parent, name))));
      }
    }
    return [...idle].flatMap(([name, isIdle]) => (isIdle ? [name] : []));
  }

  /** Removes the cgroup and its children in each hierarchy. A missing one, or one in use, is left as it is. */
  async remove(path: string): Promise<void> {
    for (const tree of ["", ...(await readdir(this.#mount).catch(() => [] as string[]))]) {
      await removeTree(join(this.#mount, tree, path));
    }
  }

  async #create(path: string, isUnified: boolean): Promise<void> {
    if (!isUnified) {
      for (const controller of controllers) await mkdir(join(this.#mount, controller, path), { recursive: true });
      return;
    }
    await mkdir(join(this.#mount, path), { recursive: true });
    // A cgroup has the controllers that its parent enables for its children, from the root down.
    const parents: string[] = [];
    for (let parent = dirname(path); ; parent = dirname(parent)) {
      parents.unshift(parent);
      if (parent === "/" || parent === ".") break;
    }
    for (const parent of parents) {
      const file = join(this.#mount, parent, "cgroup.subtree_control");
      const enabled = await readFile(file, "utf8").catch(() => "");
      const missing = controllers.filter((name) => !enabled.split(/\s+/).includes(name));
      if (missing.length > 0) await writeFile(file, missing.map((name) => `+${name}`).join(" "));
    }
  }
}

/** Removes a cgroup of this machine with its children. */
export const removeCgroup = (path: string): Promise<void> => new CgroupTree().remove(path);

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function hasProcess(path: string): Promise<boolean> {
  if ((await readFile(join(path, "cgroup.procs"), "utf8").catch(() => "")) !== "") return true;
  for (const name of await foldersIn(path)) if (await hasProcess(join(path, name))) return true;
  return false;
}

/** Cgroups are removed from the leaves up; their files are removed with them. */
async function removeTree(path: string): Promise<void> {
  for (const name of await foldersIn(path)) await removeTree(join(path, name));
  await rmdir(path).catch(() => {});
}
