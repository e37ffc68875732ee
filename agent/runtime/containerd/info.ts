import type { RuntimeCondition, RuntimeInfo } from "#agent/runtime";
import type { Cri } from "./cri-client.ts";

interface StatusResponse {
  status: { conditions: { type: string; status: boolean; reason: string; message: string }[] } | null;
  runtime_handlers: { features: { recursive_read_only_mounts: boolean } | null }[];
  features: { supplemental_groups_policy: boolean } | null;
}

interface ImageFilesystems {
  image_filesystems: {
    fs_id: { mountpoint: string };
    used_bytes: { value: number } | null;
    inodes_used: { value: number } | null;
  }[];
}

/**
 * The runtime's name, version, conditions and features. A runtime that does not report its image filesystem has none.
 */
export async function readInfo(cri: Cri): Promise<RuntimeInfo> {
  const [version, status, disk, cgroups] = await Promise.all([
    cri.runtime<{ runtime_name: string; runtime_version: string }>("Version", { version: "v1" }),
    cri.runtime<StatusResponse>("Status", {}),
    cri.image<ImageFilesystems>("ImageFsInfo", {}).catch(() => undefined),
    // Only newer runtimes know the call; older ones use plain cgroup paths unless configured otherwise.
    cri.runtime<{ linux: { cgroup_driver: string } | null }>("RuntimeConfig", {}).catch(() => undefined),
  ]);
  const filesystem = disk?.image_filesystems[0];
  const imageFilesystem = filesystem && {
    mountpoint: filesystem.fs_id.mountpoint,
    usedBytes: filesystem.used_bytes?.value ?? 0,
    inodesUsed: filesystem.inodes_used?.value ?? 0,
  };
  return {
    name: version.runtime_name,
    version: version.runtime_version,
    conditions: (status.status?.conditions ?? []).filter(isCondition),
    cgroupDriver: cgroups?.linux?.cgroup_driver === "SYSTEMD" ? "systemd" : "cgroupfs",
    features: {
      incremental: true,
      images: true,
      podNetwork: true,
      exec: true,
      userNamespaces: false,
      recursiveReadOnlyMounts: status.runtime_handlers.some((one) => one.features?.recursive_read_only_mounts),
      strictGroups: status.features?.supplemental_groups_policy === true,
    },
    imageFilesystem,
  };
}

const isCondition = (condition: { type: string }): condition is RuntimeCondition =>
  condition.type === "RuntimeReady" || condition.type === "NetworkReady";
