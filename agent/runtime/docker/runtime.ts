import { type Runtime, relistChanges } from "#agent/runtime";
import type { CniNetwork } from "#agent/runtime/cni";
import { type Clock, type Log, messageOf, silentLog } from "#base";
import { Engine } from "./engine.ts";
import { DockerImages, type SandboxImage } from "./images.ts";
import { readInfo } from "./info.ts";
import { marks } from "./items.ts";
import { LogFiles } from "./log-files.ts";
import { DockerPods } from "./pods.ts";
import { DockerStats } from "./stats.ts";
import { DockerStreams } from "./streams.ts";

export interface DockerOptions {
  /** Path of the engine's unix socket. */
  socket: string;
  /** The node's name: only containers created under it are listed, so that agents can share an engine. */
  owner: string;
  /** The folder of the sandboxes' files. */
  folder: string;
  /** The network of pods without host networking. */
  network: CniNetwork;
  sandboxImage: SandboxImage;
  /** Set when the process may not lower oom_score_adj; the engine is taken to have the same rights. */
  restrictOomScore: boolean;
  clock: Clock;
  log?: Log | undefined;
  /** When container logs are rotated. Defaults to 10 MiB and 5 files. */
  logs?: { maxBytes: number; maxFiles: number } | undefined;
}

/**
 * A runtime over the Docker Engine API. What an earlier process or a crash left is cleaned up when changes are first
 * followed, and again until that has succeeded.
 */
export function dockerRuntime(options: DockerOptions): Runtime {
  const { clock, log = silentLog, owner } = options;
  const engine = new Engine(options.socket);
  const images = new DockerImages(engine, options.sandboxImage);
  const limits = options.logs ?? { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };
  const logs = new LogFiles({ engine, clock, log, limits });
  const { folder, network } = options;
  const pods = new DockerPods({
    ...{ engine, owner, folder, network, images, logs },
    mayLowerOomScore: !options.restrictOomScore,
  });
  let cleaned = false;
  const states = async () => {
    if (!cleaned) {
      try {
        await pods.removeLeftovers();
        cleaned = true;
      } catch (error) {
        log.warn("what is left of earlier pods cannot be removed yet", { error: messageOf(error) });
      }
    }
    return pods.states();
  };
  async function* events(signal: AbortSignal): AsyncIterable<unknown> {
    const filters = JSON.stringify({ type: ["container"], label: [`${marks.owner}=${owner}`] });
    yield* await engine.stream("GET", "/events", { query: { filters }, signal, timeout: 0 });
  }
  return {
    pods,
    images,
    streams: new DockerStreams(engine, logs, new DockerStats(engine, clock, (filter) => pods.list(filter))),
    info: () => readInfo(engine),
    changes: (signal) => relistChanges({ clock, log, states, events }, signal),
    close: async () => logs.close(),
  };
}
