import { readFile, statfs } from "node:fs/promises";
import { arch, availableParallelism, networkInterfaces, release, totalmem } from "node:os";

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
  /** Addresses by which it can be reached, the primary first. */
  ips: string[];
}

const text = async (path: string): Promise<string> => (await readFile(path, "utf8").catch(() => "")).trim();

const architectures: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** The machine's addresses, without the loopback address and Skiff's bridges; IPv4 first. */
function addresses(): string[] {
  const all = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(skiff-|cni|docker|veth|br-|virbr)/.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  const primary = [...all].sort((a, b) => (a.family === b.family ? 0 : a.family === "IPv4" ? -1 : 1));
  return primary.length > 0 ? primary.map(({ address }) => address).slice(0, 2) : ["127.0.0.1"];
}

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
    ips: addresses(),
  };
}
