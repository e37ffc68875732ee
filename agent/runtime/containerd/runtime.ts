import type { Runtime, RuntimeCondition, RuntimeInfo } from "#agent/runtime";
import { type Clock, type Log, silentLog } from "#base";
import { criChanges } from "./changes.ts";
import { criClient } from "./cri-client.ts";
import { criImages } from "./images.ts";
import { native } from "./native.ts";
import { criPods } from "./pods.ts";
import { keepLogsSmall, type LogLimits } from "./rotation.ts";
import { criStreams } from "./streams.ts";
import { openChannel } from "./wire/channel.ts";
import { compileServices } from "./wire/codec.ts";

export interface ContainerdOptions {
  /** Path of the runtime's unix socket. */
  socket: string;
  /** The node's name: only what was made under it is seen, so that agents may share a runtime. */
  owner: string;
  clock: Clock;
  log?: Log;
  /** When container logs are rotated; 10 MiB and 5 files unless told. */
  logs?: LogLimits;
}

interface StatusResponse {
  status: { conditions: { type: string; status: boolean; reason: string; message: string }[] } | null;
  runtime_handlers: { features: { recursive_read_only_mounts: boolean } | null }[];
}

/** A runtime over CRI v1: containerd, and CRI-O in the same way. Connects when it is first asked. */
export function containerdRuntime(options: ContainerdOptions): Runtime {
  const { clock, log = silentLog } = options;
  const channel = openChannel(options.socket);
  const cri = criClient(channel, options.owner);
  const { raw, ...pods } = criPods(cri);
  const stopRotation = keepLogsSmall(cri, async () => (await raw()).containers, {
    clock,
    log,
    limits: options.logs ?? { maxBytes: 10 * 1024 * 1024, maxFiles: 5 },
  });
  const subscribe = compileServices(native)("events.v1.Events", "Subscribe");

  const info = async (): Promise<RuntimeInfo> => {
    const [version, status, disk, cgroups] = await Promise.all([
      cri.runtime<{ runtime_name: string; runtime_version: string }>("Version", { version: "v1" }),
      cri.runtime<StatusResponse>("Status", {}),
      cri
        .image<{
          image_filesystems: {
            fs_id: { mountpoint: string };
            used_bytes: { value: number } | null;
            inodes_used: { value: number } | null;
          }[];
        }>("ImageFsInfo", {})
        .catch(() => undefined),
      // Only newer runtimes know the call; those before it use plain cgroup paths unless configured otherwise.
      cri.runtime<{ linux: { cgroup_driver: string } | null }>("RuntimeConfig", {}).catch(() => undefined),
    ]);
    const filesystem = disk?.image_filesystems[0];
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
      },
      ...(filesystem
        ? {
            imageFilesystem: {
              mountpoint: filesystem.fs_id.mountpoint,
              usedBytes: filesystem.used_bytes?.value ?? 0,
              inodesUsed: filesystem.inodes_used?.value ?? 0,
            },
          }
        : {}),
    };
  };

  return {
    pods,
    images: criImages(cri),
    streams: criStreams(cri),
    info,
    changes: (signal) =>
      criChanges(
        {
          clock,
          log,
          raw,
          events: (until) =>
            channel.stream(subscribe, { filters: ['topic~="^/tasks/(start|exit|delete|oom)$"'] }, { signal: until }),
        },
        signal,
      ),
    close: async () => {
      stopRotation();
      channel.close();
    },
  };
}

const isCondition = (condition: { type: string }): condition is RuntimeCondition =>
  condition.type === "RuntimeReady" || condition.type === "NetworkReady";
