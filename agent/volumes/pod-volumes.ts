import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { mountsBelow, unmount, unmountBelow } from "#agent/runtime";
import { type Pod, quantityValue, type Volume } from "#api";
import type { DriverVolumes, Mounted } from "./driver.ts";
import { mountEmptyDir } from "./empty-dir.ts";
import { VolumeError } from "./error.ts";
import { prepareHostPath } from "./host-path.ts";
import { mountNfs, unmountNfs } from "./nfs.ts";
import type { PayloadSource } from "./payload.ts";
import { isPayload, PayloadVolumes } from "./payload-volumes.ts";
import { plugins } from "./plugins.ts";
import { bindSubPath, subPathOf } from "./sub-path.ts";

export { VolumeError } from "./error.ts";

export interface VolumesOptions extends PayloadSource {
  /** The parent of pods' folders, which are named by uid. */
  folder: string;
  /** Volumes with secrets or tokens are mounted in memory, and subPaths are bound, which needs root. */
  memory: boolean;
  /** Objects that may be a minute old, for refreshes; absent: as they are now. */
  recent?: Pick<PayloadSource, "configMap" | "secret">;
  /** Mounts the volumes of CSI drivers; absent: they are refused. */
  drivers?: DriverVolumes | undefined;
}

/** A `subPath` of a volume for one of a container's mounts. */
export interface SubPath {
  /** The pod's. */
  uid: string;
  /** The volume's name. */
  name: string;
  /** The volume's path on the host. */
  volume: string;
  subPath: string;
  container: string;
  /** The mount's index in the container. */
  index: number;
}

export interface PodVolumes {
  /** The pod's own folder, for files outside of its volumes; undefined when pods have nothing on the disk. */
  podFolder(uid: string): string | undefined;
  /** The folder of the pod's secrets and tokens in memory, by the volumes' names; undefined where podFolder is. */
  secretFolder(uid: string): string | undefined;
  /**
   * Creates all volumes of the pod, by name. Idempotent; existing volumes stay. Throws VolumeError, whose `message`
   * is upstream's and names the volume. `signal` ends it soon; then some volumes may be mounted.
   */
  mount(pod: Pod, signal?: AbortSignal): Promise<Record<string, Mounted>>;
  /** Updates the files of volumes whose objects have changed. Throws VolumeError as `mount` does. */
  refresh(pod: Pod, signal?: AbortSignal): Promise<void>;
  /**
   * The host's path of a subPath, which is created as a folder if it does not exist. A container cannot redirect it by
   * changing the volume. Throws an Error when it leads out of the volume.
   */
  subPath(subPath: SubPath): Promise<string>;
  /**
   * Unmounts and removes the volumes of a pod that has ended; its other files are kept. Idempotent. Rejects when one
   * cannot be unmounted yet.
   */
  release(uid: string): Promise<void>;
  /** Releases all volumes and removes the pod's folder. Idempotent. Rejects when one cannot be unmounted yet. */
  unmount(uid: string): Promise<void>;
  /** Uids of pods that have folders, including those of earlier processes. */
  list(): Promise<string[]>;
}

/** The folder of a pod's bound subPaths, beside that of its volumes. */
const subPathFolder = "volume-subpaths";

/** Volumes on this machine's disk. Memory-backed ones need root. */
export function podVolumes(options: VolumesOptions): PodVolumes {
  const podFolder = (uid: string): string => join(options.folder, uid);
  const pathOf = (pod: Pod, volume: Volume): string => {
    const kinds = Object.keys(plugins) as (keyof typeof plugins)[];
    const kind = kinds.find((key) => volume[key]) ?? "emptyDir";
    return join(podFolder(pod.metadata.uid ?? ""), "volumes", plugins[kind], volume.name);
  };
  const payloads = new PayloadVolumes(options);

  const mountOne = async (pod: Pod, volume: Volume, signal?: AbortSignal): Promise<Mounted> => {
    if (volume.hostPath) {
      await prepareHostPath(volume.hostPath);
      return { path: volume.hostPath.path, readOnly: false };
    }
    const path = pathOf(pod, volume);
    if (isPayload(volume)) return { path: await payloads.write(pod, volume, path), readOnly: true };
    if (volume.nfs) {
      await mountNfs(path, volume.nfs, { signal });
      return { path, readOnly: volume.nfs.readOnly === true };
    }
    if (volume.csi && options.drivers) return options.drivers.mount({ pod, volume, folder: path, signal });
    const kind = Object.keys(volume).find((key) => key !== "name");
    if (kind !== undefined && kind !== "emptyDir") {
      throw new VolumeError(`volumes of kind ${kind} are not supported by this node`);
    }
    await mountEmptyDir(path, volume, pod, quantityValue(options.allocatable["memory"] ?? "0"));
    return { path, readOnly: false };
  };

  const refreshOne = async (pod: Pod, volume: Volume, signal?: AbortSignal): Promise<void> => {
    if (isPayload(volume)) await payloads.write(pod, volume, pathOf(pod, volume), options.recent);
    if (volume.csi) await options.drivers?.refresh({ pod, volume, folder: pathOf(pod, volume), signal });
  };

  const each = async (pod: Pod, act: (volume: Volume) => Promise<void>): Promise<void> => {
    for (const volume of pod.spec?.volumes ?? []) {
      try {
        await act(volume);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${why}`, { cause: error });
      }
    }
  };

  const release = async (uid: string): Promise<void> => {
    const folder = podFolder(uid);
    await unmountBelow(join(folder, subPathFolder));
    const ofDrivers = join(folder, "volumes", plugins.csi);
    // A driver that does not answer keeps neither memory nor other servers' volumes in use.
    const ended = await Promise.allSettled([
      options.drivers?.unmount(uid, ofDrivers),
      unmountBeside(join(folder, "volumes"), ofDrivers),
    ]);
    for (const end of ended) if (end.status === "rejected") throw end.reason;
    for (const name of [subPathFolder, "volumes"]) await removeUnmounted(join(folder, name));
    await payloads.remove(uid);
    options.tokens?.forget(uid);
  };

  return {
    podFolder,
    secretFolder: (uid) => payloads.folderOf(uid),
    mount: async (pod, signal) => {
      const mounted: Record<string, Mounted> = {};
      await each(pod, async (volume) => {
        signal?.throwIfAborted();
        mounted[volume.name] = await mountOne(pod, volume, signal);
      });
      return mounted;
    },
    refresh: (pod, signal) => each(pod, (volume) => refreshOne(pod, volume, signal)),
    subPath: async ({ uid, name, volume, subPath, container, index }) => {
      if (!options.memory) return subPathOf(volume, subPath);
      const target = join(podFolder(uid), subPathFolder, name, container, String(index));
      await bindSubPath(volume, subPath, target);
      return target;
    },
    unmount: async (uid) => {
      await release(uid);
      await unmountBelow(podFolder(uid));
      await removeUnmounted(podFolder(uid));
    },
    release,
    list: async () => {
      const folders = await readdir(options.folder).catch(() => [] as string[]);
      return [...new Set([...folders.filter((name) => !name.startsWith(".")), ...(await payloads.list())])];
    },
  };
}

/** Removes a folder. Throws VolumeError while something is mounted in it, which is not the pod's to delete. */
async function removeUnmounted(folder: string): Promise<void> {
  const [left] = await mountsBelow(folder);
  if (left !== undefined) throw new VolumeError(`${left} is still mounted`);
  await rm(folder, { recursive: true, force: true });
}

/** Unmounts what is mounted below a folder, but not below one inside of it. */
async function unmountBeside(folder: string, except: string): Promise<void> {
  const left = new Set(await mountsBelow(except));
  for (const path of await mountsBelow(folder)) {
    if (left.has(path)) continue;
    await (path.includes(`/volumes/${plugins.nfs}/`) ? unmountNfs(path) : unmount(path));
  }
}

/** For runtimes without real containers: nothing is stored on the disk, and pods' volume sources are ignored. */
export function noVolumes(): PodVolumes {
  return {
    podFolder: () => undefined,
    secretFolder: () => undefined,
    mount: async (pod) =>
      Object.fromEntries(
        (pod.spec?.volumes ?? []).map(({ name }) => [name, { path: `/nonexistent/${name}`, readOnly: false }]),
      ),
    refresh: async () => {},
    subPath: async ({ volume, subPath }) => join(volume, subPath),
    release: async () => {},
    unmount: async () => {},
    list: async () => [],
  };
}
