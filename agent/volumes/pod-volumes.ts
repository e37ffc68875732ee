import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { mountsBelow, unmountBelow } from "#agent/runtime";
import { type Pod, quantityValue, type Volume } from "#api";
import type { DriverVolumes, Mounted } from "./driver.ts";
import { mountEmptyDir } from "./empty-dir.ts";
import { VolumeError } from "./error.ts";
import { prepareHostPath } from "./host-path.ts";
import { mountNfs } from "./nfs.ts";
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
  /**
   * Creates all volumes of the pod, by name. Idempotent; existing volumes stay. Throws VolumeError, whose `message`
   * is upstream's and names the volume.
   */
  mount(pod: Pod): Promise<Record<string, Mounted>>;
  /** Updates the files of volumes whose objects have changed. Throws VolumeError as `mount` does. */
  refresh(pod: Pod): Promise<void>;
  /**
   * The host's path of a subPath, which is created as a folder if it does not exist. A container cannot redirect it by
   * changing the volume. Throws an Error when it leads out of the volume.
   */
  subPath(subPath: SubPath): Promise<string>;
  /** Unmounts all volumes and removes the pod's folder. Idempotent. Rejects when one cannot be unmounted yet. */
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

  const mountOne = async (pod: Pod, volume: Volume): Promise<Mounted> => {
    if (volume.hostPath) {
      await prepareHostPath(volume.hostPath);
      return { path: volume.hostPath.path, readOnly: false };
    }
    const path = pathOf(pod, volume);
    if (isPayload(volume)) return { path: await payloads.write(pod, volume, path), readOnly: true };
    if (volume.nfs) {
      await mountNfs(path, volume.nfs);
      return { path, readOnly: volume.nfs.readOnly === true };
    }
    if (volume.csi && options.drivers) return options.drivers.mount(pod, volume, path);
    const kind = Object.keys(volume).find((key) => key !== "name");
    if (kind !== undefined && kind !== "emptyDir") {
      throw new VolumeError(`volumes of kind ${kind} are not supported by this node`);
    }
    await mountEmptyDir(path, volume, pod, quantityValue(options.allocatable["memory"] ?? "0"));
    return { path, readOnly: false };
  };

  const refreshOne = async (pod: Pod, volume: Volume): Promise<void> => {
    if (isPayload(volume)) await payloads.write(pod, volume, pathOf(pod, volume));
    if (volume.csi) await options.drivers?.refresh(pod, volume, pathOf(pod, volume));
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

  return {
    podFolder,
    mount: async (pod) => {
      const mounted: Record<string, Mounted> = {};
      await each(pod, async (volume) => {
        mounted[volume.name] = await mountOne(pod, volume);
      });
      return mounted;
    },
    refresh: (pod) => each(pod, (volume) => refreshOne(pod, volume)),
    subPath: async ({ uid, name, volume, subPath, container, index }) => {
      if (!options.memory) return subPathOf(volume, subPath);
      const target = join(podFolder(uid), subPathFolder, name, container, String(index));
      await bindSubPath(volume, subPath, target);
      return target;
    },
    unmount: async (uid) => {
      const folder = podFolder(uid);
      await unmountBelow(join(folder, subPathFolder));
      await options.drivers?.unmount(uid, join(folder, "volumes", plugins.csi));
      await unmountBelow(folder);
      // What is still mounted, or was mounted meanwhile, is not the pod's to delete.
      const [left] = await mountsBelow(folder);
      if (left !== undefined) throw new VolumeError(`${left} is still mounted`);
      await payloads.remove(uid);
      await rm(folder, { recursive: true, force: true });
      options.tokens?.forget(uid);
    },
    list: async () => {
      const folders = await readdir(options.folder).catch(() => [] as string[]);
      return [...new Set([...folders.filter((name) => !name.startsWith(".")), ...(await payloads.list())])];
    },
  };
}

/** For runtimes without real containers: nothing is stored on the disk, and pods' volume sources are ignored. */
export function noVolumes(): PodVolumes {
  return {
    podFolder: () => undefined,
    mount: async (pod) =>
      Object.fromEntries(
        (pod.spec?.volumes ?? []).map(({ name }) => [name, { path: `/nonexistent/${name}`, readOnly: false }]),
      ),
    refresh: async () => {},
    subPath: async ({ volume, subPath }) => join(volume, subPath),
    unmount: async () => {},
    list: async () => [],
  };
}
