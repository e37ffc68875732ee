import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isMounted, type SandboxStats } from "#agent/runtime";
import type { Clock } from "#base";
import { type DiskUsage, DiskUsages } from "./disk.ts";
import { type DriverUsage, DriverUsages } from "./driver-usage.ts";
import type { Filesystem } from "./host.ts";
import type { PodSample } from "./sample.ts";
import { usageOfServer } from "./server-usage.ts";

export interface PodFolders {
  /** The folder of a pod's volumes; undefined where it has none. */
  podFolder(uid: string): string | undefined;
  /** The folder of a pod's secrets and tokens, by the volumes' names; absent where pods have none. */
  secretFolder?: ((uid: string) => string | undefined) | undefined;
  /** What the driver of a volume measures, by the volume's folder; absent: there are no such volumes. */
  driverUsage?: ((folder: string) => Promise<DriverUsage | undefined>) | undefined;
  /** The folder of a pod's logs. */
  logFolder(pod: Pick<PodSample["sandbox"], "namespace" | "name" | "uid">): string;
}

/** What a pod takes of the node's disk. */
export interface PodDisk {
  /** With the volumes on the node's disk: emptyDir and configMap (upstream's IsLocalEphemeralVolume). */
  total: DiskUsage;
  /** In the order of the sample. `layer` is what the container has written; absent where the runtime does not tell. */
  containers: { name: string; layer?: DiskUsage; logs: DiskUsage }[];
  volumes: VolumeDisk[];
}

export interface VolumeDisk {
  name: string;
  path: string;
  usage: DiskUsage;
  /** What a driver or a server measures; absent for volumes on the node's own file systems. */
  filesystem?: Filesystem;
}

interface MeasuredDisk extends VolumeDisk {
  /** Whether it takes of the node's disk. */
  isOnDisk: boolean;
}

/** The folder of volumes whose drivers measure them. */
const driverPlugin = "kubernetes.io~csi";
/** The folder of volumes whose whole file systems are measured, which servers may keep waiting. */
const serverPlugin = "kubernetes.io~nfs";
/** The folders of volumes that may be on the node's disk. */
const diskPlugins: ReadonlySet<string> = new Set(["kubernetes.io~empty-dir", "kubernetes.io~configmap"]);

/** Measures pods' use of the disk; folders at most once a minute. */
export class PodDisks {
  readonly #folders: PodFolders;
  readonly #usages: DiskUsages;
  readonly #drivers: DriverUsages;
  readonly #servers: DriverUsages;

  constructor(folders: PodFolders, clock: Clock) {
    this.#folders = folders;
    this.#usages = new DiskUsages(clock);
    this.#drivers = new DriverUsages(async (folder) => folders.driverUsage?.(folder), clock);
    this.#servers = new DriverUsages(usageOfServer, clock);
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
    for (const { isOnDisk, usage } of volumes) if (isOnDisk) add(usage);
    return { total, containers, volumes };
  }

  async #volumesOf(uid: string): Promise<MeasuredDisk[]> {
    const folder = this.#folders.podFolder(uid);
    if (folder === undefined) return [];
    const top = join(folder, "volumes");
    const found: Promise<MeasuredDisk | undefined>[] = [];
    for (const plugin of await readdir(top).catch(() => [] as string[])) {
      for (const name of await readdir(join(top, plugin)).catch(() => [] as string[])) {
        found.push(this.#volumeOf(plugin, name, join(top, plugin, name)));
      }
    }
    const measured = (await Promise.all(found)).filter((volume) => volume !== undefined);
    return [...measured, ...(await this.#secretsOf(uid))];
  }

  async #secretsOf(uid: string): Promise<MeasuredDisk[]> {
    const folder = this.#folders.secretFolder?.(uid);
    const names = folder === undefined ? [] : await readdir(folder).catch(() => [] as string[]);
    const paths = names.map((name) => ({ name, path: join(folder ?? "", name) }));
    return Promise.all(paths.map(async (one) => ({ isOnDisk: false, ...one, usage: await this.#usages.of(one.path) })));
  }

  async #volumeOf(plugin: string, name: string, path: string): Promise<MeasuredDisk | undefined> {
    if (plugin === driverPlugin || plugin === serverPlugin) {
      const measured = await (plugin === driverPlugin ? this.#drivers : this.#servers).of(path);
      return measured && { isOnDisk: false, name, path, ...measured };
    }
    const isOnDisk = diskPlugins.has(plugin) && !(await isMounted(path));
    return { isOnDisk, name, path, usage: await this.#usages.of(path) };
  }
}
