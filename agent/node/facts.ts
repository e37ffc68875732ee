import { readFile, statfs } from "node:fs/promises";
import { arch, availableParallelism, release, totalmem } from "node:os";
import { hostAddresses } from "./addresses.ts";

/** The facts of a machine. */
export interface HostFacts {
  machineId: string;
  systemUuid: string;
  bootId: string;
  kernelVersion: string;
  osImage: string;
  operatingSystem: string;
  architecture: string;
  cpus: number;
  memoryBytes: number;
  /** Of the file system that holds the data folder. */
  disk: { bytes: number };
  /** Addresses by which it can be reached: at most one of each family, the primary first. */
  ips: string[];
  /** Whether the kernel enforces AppArmor profiles. */
  appArmor: boolean;
}

const text = async (path: string): Promise<string> => (await readFile(path, "utf8").catch(() => "")).trim();

const architectures: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** Reads the facts of this machine; the disk is that of `folder`. */
export async function hostFacts(folder: string): Promise<HostFacts> {
  const disk = await statfs(folder);
  const os = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(await text("/etc/os-release"))?.[1];
  return {
    machineId: await text("/etc/machine-id"),
    systemUuid: await text("/sys/class/dmi/id/product_uuid"),
    bootId: await text("/proc/sys/kernel/random/boot_id"),
    kernelVersion: release(),
    osImage: os ?? process.platform,
    operatingSystem: "linux",
    architecture: architectures[arch()] ?? arch(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    disk: { bytes: disk.blocks * disk.bsize },
    ips: await hostAddresses(),
    appArmor: (await text("/sys/module/apparmor/parameters/enabled")).startsWith("Y"),
  };
}
