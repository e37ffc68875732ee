import { execFile } from "node:child_process";
import { chmod, chown, lstat, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Pod, quantityValue, type Volume } from "#api";
import { atomicWrite } from "./atomic.ts";
import { VolumeError } from "./error.ts";
import { prepareHostPath } from "./host-path.ts";
import { type PayloadSource, payloadOf } from "./payload.ts";

export { VolumeError } from "./error.ts";

const run = promisify(execFile);

export interface VolumesOptions extends PayloadSource {
  /** Pods' folders lie below it, by uid. */
  folder: string;
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

const shown = (volume: Volume): boolean =>
  !!(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

/** Upstream's names of volume plugins, which are also names of folders. */
const plugins: Record<string, string> = {
  emptyDir: "kubernetes.io~empty-dir",
  configMap: "kubernetes.io~configmap",
  secret: "kubernetes.io~secret",
  downwardAPI: "kubernetes.io~downward-api",
  projected: "kubernetes.io~projected",
};

/** Volumes on this machine's disk. Memory-backed ones need root. */
export function podVolumes(options: VolumesOptions): PodVolumes {
  const podFolder = (uid: string): string => join(options.folder, uid);
  const pathOf = (pod: Pod, volume: Volume): string => {
    const kind = Object.keys(plugins).find((key) => volume[key as keyof Volume]) ?? "emptyDir";
    return join(podFolder(pod.metadata.uid ?? ""), "volumes", plugins[kind] ?? "", volume.name);
  };
  const show = async (pod: Pod, volume: Volume): Promise<void> => {
    const payload = await payloadOf(pod, volume, options);
    await atomicWrite(pathOf(pod, volume), payload, pod.spec?.securityContext?.fsGroup);
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
      const mounts = (await readFile("/proc/mounts", "utf8").catch(() => "")).split("\n");
      const below = mounts.map((line) => line.split(" ")[1] ?? "").filter((path) => path.startsWith(`${folder}/`));
      for (const path of below.reverse()) await run("umount", [path]);
      await rm(folder, { recursive: true, force: true });
      options.tokens?.forget(uid);
    },
    list: () => readdir(options.folder).catch(() => []),
  };
}

async function mountEmptyDir(path: string, { emptyDir = {} }: Volume, group: number | undefined): Promise<void> {
  const { medium = "", sizeLimit } = emptyDir;
  if (medium !== "" && medium !== "Memory") {
    throw new VolumeError(`emptyDir medium ${medium} is not supported by this node`);
  }
  if (await lstat(path).catch(() => undefined)) return;
  await mkdir(path, { recursive: true });
  if (medium === "Memory") {
    const size = sizeLimit === undefined ? [] : ["-o", `size=${quantityValue(sizeLimit)}`];
    await run("mount", ["-t", "tmpfs", ...size, "tmpfs", path]);
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
