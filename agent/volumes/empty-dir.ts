import { chmod, chown, lstat, mkdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isMountPoint, mountMemory } from "#agent/runtime";
import { type Pod, quantityValue, totalOf, type Volume } from "#api";
import { VolumeError } from "./error.ts";

/**
 * Creates an emptyDir, on the disk or in memory; an existing one is kept. `memoryBytes` is the node's allocatable
 * memory. Throws VolumeError for other media.
 */
export async function mountEmptyDir(path: string, volume: Volume, pod: Pod, memoryBytes: bigint): Promise<void> {
  const { medium = "" } = volume.emptyDir ?? {};
  const group = pod.spec?.securityContext?.fsGroup;
  if (medium !== "" && medium !== "Memory") {
    throw new VolumeError(`emptyDir medium ${medium} is not supported by this node`);
  }
  // Volumes in memory do not survive a restart of the machine, but their folders do.
  if ((await lstat(path).catch(() => undefined)) && (medium === "" || (await isMountPoint(path)))) return;
  if (medium === "Memory") {
    await mkdir(path, { recursive: true });
    const size = memorySize(volume, pod, memoryBytes);
    // Sticky, as upstream's: it mounts tmpfs with its own mode.
    const owned = group === undefined ? ["mode=01777"] : ["mode=03777", `gid=${group}`];
    await mountMemory(path, [...owned, ...(size > 0n ? [`size=${size}`] : [])]);
    return;
  }
  // Renamed when it is complete: an existing volume has its mode and its group, wherever the agent died.
  const unfinished = join(dirname(path), `.${basename(path)}`);
  await mkdir(unfinished, { recursive: true });
  if (group !== undefined) await chown(unfinished, -1, Number(group));
  await chmod(unfinished, group === undefined ? 0o777 : 0o2777);
  await rename(unfinished, path);
}

/**
 * The size of an emptyDir in memory, in bytes: the least of its own limit, the pod's memory limit and what the node
 * can allocate (upstream's calculateEmptyDirMemorySize). 0 where none is known.
 */
export function memorySize({ emptyDir }: Volume, { spec }: Pod, allocatable: bigint): bigint {
  const limits = [
    allocatable,
    spec ? podMemoryLimit(spec) : 0n,
    emptyDir?.sizeLimit === undefined ? 0n : quantityValue(emptyDir.sizeLimit),
  ].filter((limit) => limit > 0n);
  return limits.reduce((least, limit) => (limit < least ? limit : least), limits[0] ?? 0n);
}

/** The pod's limit; 0 unless all of its containers have one (upstream's ResourceConfigForPod). */
function podMemoryLimit(spec: NonNullable<Pod["spec"]>): bigint {
  const whole = spec.resources?.limits?.["memory"];
  if (whole !== undefined) return quantityValue(whole);
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  if (containers.some(({ resources }) => resources?.limits?.["memory"] === undefined)) return 0n;
  return quantityValue(totalOf(spec, "limits")["memory"] ?? "0");
}
