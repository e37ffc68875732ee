import { filesystemOf, readHost, readProcesses } from "#agent/stats";
import type { Observation, Observations } from "./thresholds.ts";

/** Reads what this machine has left. `imageFolder` is on the file system of the images; undefined where it is unknown. */
export async function observeHost(folder: string, imageFolder: string | undefined): Promise<Observations> {
  const [host, node, images, processes] = await Promise.all([
    readHost(),
    filesystemOf(folder),
    imageFolder === undefined ? undefined : filesystemOf(imageFolder),
    readProcesses(),
  ]);
  const { available, workingSet } = host.memory;
  return {
    "memory.available": { available, capacity: available + workingSet },
    ...(node ? named("nodefs", node) : {}),
    ...(images ? named("imagefs", images) : {}),
    ...(processes.most > 0
      ? { "pid.available": { available: processes.most - processes.now, capacity: processes.most } }
      : {}),
  };
}

interface Space {
  available: number;
  capacity: number;
  inodes: number;
  inodesFree: number;
}

const named = (
  name: "nodefs" | "imagefs",
  { available, capacity, inodes, inodesFree }: Space,
): Partial<Record<`${"nodefs" | "imagefs"}.${"available" | "inodesFree"}`, Observation>> => ({
  [`${name}.available`]: { available, capacity },
  // File systems that make inodes as they are needed report none.
  ...(inodes > 0 ? { [`${name}.inodesFree`]: { available: inodesFree, capacity: inodes } } : {}),
});
