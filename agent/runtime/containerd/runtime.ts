import { compileServices } from "#agent/grpc";
import { type Runtime, relistChanges } from "#agent/runtime";
import { type Clock, type Log, silentLog } from "#base";
import { RuntimeChannel } from "./channel.ts";
import { criClient } from "./cri-client.ts";
import { imageMounts } from "./image-mount.ts";
import { criImages } from "./images.ts";
import { readInfo } from "./info.ts";
import { native } from "./native.ts";
import { CriPods } from "./pods.ts";
import { type LogLimits, startRotation } from "./rotation.ts";
import { statesOf } from "./states.ts";
import { CriStreams } from "./streams.ts";

export interface ContainerdOptions {
  /** Path of the runtime's unix socket. */
  socket: string;
  /** The node's name: only sandboxes created under it are listed, so that agents can share a runtime. */
  owner: string;
  clock: Clock;
  log?: Log | undefined;
  /** When container logs are rotated. Defaults to 10 MiB and 5 files. */
  logs?: LogLimits | undefined;
}

/**
 * A runtime over CRI v1: containerd, or CRI-O in the same way. It connects at the first request. Without containerd's
 * events, changes are found by listing.
 */
export function containerdRuntime(options: ContainerdOptions): Runtime {
  const { clock, log = silentLog } = options;
  const channel = new RuntimeChannel(options.socket);
  const cri = criClient(channel, options.owner);
  const pods = new CriPods(cri);
  const stopRotation = startRotation(cri, async () => (await pods.items()).containers, {
    clock,
    log,
    limits: options.logs ?? { maxBytes: 10 * 1024 * 1024, maxFiles: 5 },
  });
  const subscribe = compileServices(native)("events.v1.Events", "Subscribe");
  const filters = ['topic~="^/tasks/(start|exit|delete|oom)$"'];
  return {
    pods,
    images: criImages(cri, imageMounts(channel, cri)),
    streams: new CriStreams(cri),
    info: () => readInfo(cri),
    changes: (signal) => {
      const events = (until: AbortSignal) => channel.stream(subscribe, { filters }, { signal: until });
      return relistChanges({ clock, log, states: async () => statesOf(await pods.items()), events }, signal);
    },
    close: async () => {
      stopRotation();
      channel.close();
    },
  };
}
