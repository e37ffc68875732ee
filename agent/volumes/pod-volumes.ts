import { chmod, chown, lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMountPoint, mountMemory, unmountBelow } from "#agent/runtime";
import { type Pod, quantityValue, type Volume } from "#api";
import { atomicWrite } from "./atomic.ts";
import { VolumeError } from "./error.ts";
import { prepareHostPath } from "./host-path.ts";
import { type PayloadSource, payloadOf } from "./payload.ts";
import { plugins } from "./plugins.ts";

export { VolumeError } from "./error.ts";

export interface VolumesOptions extends PayloadSource {
  /** The parent of pods' folders, which are named by uid. */
  folder: string;
  /** Volumes with secrets or tokens are mounted in memory, which needs root. */
  memory: boolean;
}

/** A volume on the host. */
export interface Mounted {
  path: string;
  /** Read-only, whatever the container's mount requests. */
  readOnly: boolean;
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
  /** Unmounts all volumes and removes the pod's folder. Idempotent. */
  unmount(uid: string): Promise<void>;
  /** Uids of pods that have folders, including those of earlier processes. */
  list(): Promise<string[]>;
}

/** Whether its content must not be stored on a disk. */
const isSecret = ({ secret, projected }: Volume): boolean =>
  secret !== undefined ||
  (projected?.sources ?? []).some((source) => source.secret !== undefined || source.serviceAccountToken !== undefined);

const isPayload = (volume: Volume): boolean =>
  !!(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

/** Volumes on this machine's disk. Memory-backed ones need root. */
export function podVolumes(options: VolumesOptions): PodVolumes {
  const podFolder = (uid: string): string => join(options.folder, uid);
  const pathOf = (pod: Pod, volume: Volume): string => {
    const kinds = Object.keys(plugins) as (keyof typeof plugins)[];
    const kind = kinds.find((key) => volume[key]) ?? "emptyDir";
    return join(podFolder(pod.metadata.uid ?? ""), "volumes", plugins[kind], volume.name);
  };
  const write = async (pod: Pod, volume: Volume): Promise<void> => {
    const payload = await payloadOf(pod, volume, options);
    const path = pathOf(pod, volume);
    if (options.memory && isSecret(volume)) await inMemory(path);
    await atomicWrite(path, payload, pod.spec?.securityContext?.fsGroup);
  };

  const mountOne = async (pod: Pod, volume: Volume): Promise<Mounted> => {
    if (volume.hostPath) {
      await prepareHostPath(volume.hostPath);
      return { path: volume.hostPath.path, readOnly: false };
    }
    const path = pathOf(pod, volume);
    if (isPayload(volume)) {
      await write(pod, volume);
      return { path, readOnly: true };
    }
    const kind = Object.keys(volume).find((key) => key !== "name");
    if (kind !== undefined && kind !== "emptyDir") {
      throw new VolumeError(`volumes of kind ${kind} are not supported by this node`);
    }
    await mountEmptyDir(path, volume, pod.spec?.securityContext?.fsGroup);
    return { path, readOnly: false };
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
    refresh: (pod) => each(pod, async (volume) => (isPayload(volume) ? write(pod, volume) : undefined)),
    unmount: async (uid) => {
      const folder = podFolder(uid);
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
      options.tokens?.forget(uid);
    },
    list: () => readdir(options.folder).catch(() => []),
  };
}

/** Mounts the folder in memory, unless an earlier version has files there on the disk: containers may use them. */
async function inMemory(path: string): Promise<void> {
  if (await isMountPoint(path)) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  if ((await readdir(path)).length > 0) return;
  await mountMemory(path, ["mode=0755"]);
}

async function mountEmptyDir(path: string, { emptyDir = {} }: Volume, group: number | undefined): Promise<void> {
  const { medium = "", sizeLimit } = emptyDir;
  if (medium !== "" && medium !== "Memory") {
    throw new VolumeError(`emptyDir medium ${medium} is not supported by this node`);
  }
  // Volumes in memory do not survive a restart of the machine, but their folders do.
  if ((await lstat(path).catch(() => undefined)) && (medium === "" || (await isMountPoint(path)))) return;
  await mkdir(path, { recursive: true });
  if (medium === "Memory") {
    await mountMemory(path, sizeLimit === undefined ? [] : [`size=${quantityValue(sizeLimit)}`]);
  }
  await chmod(path, group === undefined ? 0o777 : 0o2777);
  if (group !== undefined) await chown(path, -1, group);
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
    unmount: async () => {},
    list: async () => [],
  };
}
