import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxStats } from "#agent/runtime";
import type { Clock } from "#base";
import { type DiskUsage, DiskUsages } from "./disk.ts";
import { type DriverUsage, DriverUsages } from "./driver-usage.ts";
import type { Filesystem } from "./host.ts";
import type { PodSample } from "./sample.ts";

export interface PodFolders {
  /** The folder of a pod's volumes; undefined where it has none. */
  podFolder(uid: string): string | undefined;
  /** What the driver of a volume measures, by the volume's folder; absent: there are no such volumes. */
  driverUsage?: ((folder: string) => Promise<DriverUsage | undefined>) | undefined;
  /** The folder of a pod's logs. */
  logFolder(pod: Pick<PodSample["sandbox"], "namespace" | "name" | "uid">): string;
}

/** What a pod takes of the node's disk. */
export interface PodDisk {
  /** Everything but volumes of CSI drivers. */
  total: DiskUsage;
  /** In the order of the sample. `layer` is what the container has written; absent where the runtime does not tell. */
  containers: { name: string; layer?: DiskUsage; logs: DiskUsage }[];
  volumes: VolumeDisk[];
}

export interface VolumeDisk {
  name: string;
  path: string;
  usage: DiskUsage;
  /** What a driver measures; absent for volumes on the node's own file systems. */
  filesystem?: Filesystem;
}

/** The folder of volumes whose drivers measure them. */
const driverPlugin = "kubernetes.io~csi";

/** Measures pods' use of the disk; folders at most once a minute. */
export class PodDisks {
  readonly #folders: PodFolders;
  readonly #usages: DiskUsages;
  readonly #drivers: DriverUsages;

  constructor(folders: PodFolders, clock: Clock) {
    this.#folders = folders;
    this.#usages = new DiskUsages(clock);
    this.#drivers = new DriverUsages(async (folder) => folders.driverUsage?.(folder), clock);
  }

  /** `stats` are the runtime's of the pod. */
  async of(pod: PodSample, stats: SandboxStats | undefined): Promise<PodDisk> {
    const total: DiskUsage = { bytes: 0, inodes: 0 };
    const add = (usage: DiskUsage): DiskUsage => {
      total.bytes += usage.bytes;
      total.inodes += usage.inodes;
      return usage;
    };
    const logFolder = this.#folders.logFolder(pod.sandbox);
    const containers = await Promise.all(
      pod.containers.map(async ({ id, name }) => {
        const found = stats?.containers.find(({ containerId }) => containerId === id);
        const { writableLayerBytes: bytes, writableLayerInodes: inodes = 0 } = found ?? {};
        const layer = bytes === undefined ? {} : { layer: add({ bytes, inodes }) };
        return { name, ...layer, logs: add(await this.#usages.of(join(logFolder, name))) };
      }),
    );
    const volumes = await this.#volumesOf(pod.sandbox.uid);
    for (const { plugin, usage } of volumes) if (plugin !== driverPlugin) add(usage);
    return { total, containers, volumes };
  }

  async #volumesOf(uid: string) {
    const folder = this.#folders.podFolder(uid);
    if (folder === undefined) return [];
    const top = join(folder, "volumes");
    const found: (VolumeDisk & { plugin: string })[] = [];
    for (const plugin of await readdir(top).catch(() => [] as string[])) {
      for (const name of await readdir(join(top, plugin)).catch(() => [] as string[])) {
        const path = join(top, plugin, name);
        if (plugin === driverPlugin) {
          const measured = await this.#drivers.of(path);
          if (measured) found.push({ plugin, name, path, ...measured });
        } else found.push({ plugin, name, path, usage: await this.#usages.of(path) });
      }
    }
    return found;
  }
}
