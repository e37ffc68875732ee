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
  /** Pods' folders lie below it, by uid. */
  folder: string;
  /** Volumes with secrets or tokens are mounted in memory, which needs root. */
  memory: boolean;
}

/** Where a volume lies on the host. */
export interface Mounted {
  path: string;
  /** Nothing may be written to it, whatever the mount says. */
  readOnly: boolean;
}

export interface PodVolumes {
  /** The pod's own folder, for what belongs to it and is no volume; undefined where nothing lies on the disk. */
  podFolder(uid: string): string | undefined;
  /**
   * Makes all volumes of the pod, by name. Repeatable; what is there stays. Throws VolumeError, whose `message` names
   * the volume in upstream's words.
   */
  mount(pod: Pod): Promise<Record<string, Mounted>>;
  /** Writes anew what has changed in the objects that volumes show. Throws VolumeError as `mount` does. */
  refresh(pod: Pod): Promise<void>;
  /** Takes everything down and removes the pod's folder. Repeatable. */
  unmount(uid: string): Promise<void>;
  /** Uids of pods that have folders, those of earlier processes too. */
  list(): Promise<string[]>;
}

/** Whether it shows what must not lie on a disk. */
const isSecret = ({ secret, projected }: Volume): boolean =>
  secret !== undefined ||
  (projected?.sources ?? []).some((source) => source.secret !== undefined || source.serviceAccountToken !== undefined);

const shown = (volume: Volume): boolean =>
  !!(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

/** Volumes on this machine's disk. Memory-backed ones need root. */
export function podVolumes(options: VolumesOptions): PodVolumes {
  const podFolder = (uid: string): string => join(options.folder, uid);
  const pathOf = (pod: Pod, volume: Volume): string => {
    const kinds = Object.keys(plugins) as (keyof typeof plugins)[];
    const kind = kinds.find((key) => volume[key]) ?? "emptyDir";
    return join(podFolder(pod.metadata.uid ?? ""), "volumes", plugins[kind], volume.name);
  };
  const show = async (pod: Pod, volume: Volume): Promise<void> => {
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
    if (shown(volume)) {
      await show(pod, volume);
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
    refresh: (pod) => each(pod, async (volume) => (shown(volume) ? show(pod, volume) : undefined)),
    unmount: async (uid) => {
      const folder = podFolder(uid);
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
      options.tokens?.forget(uid);
    },
    list: () => readdir(options.folder).catch(() => []),
  };
}

/** Has the folder in memory. One that an earlier version filled on the disk stays there: containers may have it. */
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
  // What lay in memory does not outlive the machine's next start, but its folder does.
  if ((await lstat(path).catch(() => undefined)) && (medium === "" || (await isMountPoint(path)))) return;
  await mkdir(path, { recursive: true });
  if (medium === "Memory") {
    await mountMemory(path, sizeLimit === undefined ? [] : [`size=${quantityValue(sizeLimit)}`]);
  }
  await chmod(path, group === undefined ? 0o777 : 0o2777);
  if (group !== undefined) await chown(path, -1, group);
}

/** For runtimes without real containers: nothing lies on the disk, and what pods name is not looked at. */
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
