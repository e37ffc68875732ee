import { join } from "node:path";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { type Container, isRuntimeError, type Runtime, type Sandbox } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";
import { MemoryLimit } from "./memory-limit.ts";
import { overlapMilliseconds, type Position, type Positions, positionsIn } from "./positions.ts";
import { type Put, putTo } from "./put.ts";
import { ship } from "./shipment.ts";

export interface ShippingOptions {
  runtime: Runtime;
  region: string;
  /** The log group. */
  group: string;
  /** The folder of the positions up to which each container's output is sent. */
  folder: string;
  clock: Clock;
  log: Log;
  /** Replaces the call of the service. */
  put?: Put;
}

export interface Shipping {
  /** Tries once to send what is collected. */
  stop(): Promise<void>;
}

/** The most unsent output of all containers together. */
const maxUnsentBytes = 8 * 1024 * 1024;
const retryMilliseconds = 5000;
const requestHandler = { connectionTimeout: 5000, requestTimeout: 10_000, throwOnRequestTimeout: true };

/**
 * The stream of one run of a container, named by namespace, pod, uid, container, and attempt.
 */
export const streamOf = (
  { namespace, name, uid }: Pick<Sandbox, "namespace" | "name" | "uid">,
  container: Pick<Container, "name" | "attempt">,
): string => [namespace, name, uid, container.name, container.attempt].join("/");

/** Sends the output of every container of the runtime to CloudWatch Logs, each run of a container to its own stream. */
export function shipLogs(options: ShippingOptions): Shipping {
  const { runtime, region, group, clock, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const client = new CloudWatchLogsClient({ region, requestHandler });
  const put = options.put ?? putTo(client, group, log);
  const context: ShippingContext = { ...options, put, memory: new MemoryLimit(maxUnsentBytes), signal };
  const running = new Map<string, Promise<void>>();
  /** By uid of their pod: the streams of listed containers, and those of them that are completely sent. */
  const listed = new Map<string, ReadonlyMap<string, Container>>();
  const done = new Map<string, Set<string>>();

  const start = (positions: Positions, uid: string, { stream, id }: { stream: string; id: string }): Promise<void> =>
    shipAll(context, { positions, stream, id }).then(async () => {
      running.delete(stream);
      if (signal.aborted) return;
      if (listed.get(uid)?.has(stream)) done.set(uid, (done.get(uid) ?? new Set()).add(stream));
      else await positions.remove(stream);
    });
  const update = async (
    positions: Positions,
    uid: string,
    containers: ReadonlyMap<string, Container>,
  ): Promise<void> => {
    const complete = done.get(uid) ?? new Set();
    if (containers.size > 0) listed.set(uid, containers);
    else listed.delete(uid);
    for (const [stream, { id, state }] of containers) {
      if (state === "created" || running.has(stream) || complete.has(stream)) continue;
      running.set(stream, start(positions, uid, { stream, id }));
    }
    for (const stream of complete) {
      if (containers.has(stream)) continue;
      complete.delete(stream);
      await positions.remove(stream);
    }
    if (complete.size === 0) done.delete(uid);
  };
  const follow = async (): Promise<void> => {
    const positions = await positionsIn(join(options.folder, "shipped"));
    const streams = streamsOf(await runtime.pods.list());
    await positions.keepOnly(new Set([...streams.keys(), ...running.keys()]));
    for await (const uid of runtime.changes(signal)) {
      await update(positions, uid, streamsOf(await runtime.pods.list({ uid })));
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await follow().catch((error: unknown) =>
        log.warn("containers' logs cannot be followed; it is retried", { error: messageOf(error) }),
      );
      await sleep(clock, retryMilliseconds, signal);
    }
  };
  const shipping = run();
  return {
    async stop() {
      stopping.abort();
      await shipping;
      await Promise.all(running.values());
      client.destroy();
    },
  };
}

const streamsOf = (sandboxes: readonly Sandbox[]): Map<string, Container> =>
  new Map(sandboxes.flatMap((one) => one.containers.map((each) => [streamOf(one, each), each] as const)));

interface ShippingContext extends ShippingOptions {
  put: Put;
  memory: MemoryLimit;
  signal: AbortSignal;
}

/** Sends one container's output to its end and retries every failure. Never rejects. */
async function shipAll(
  context: ShippingContext,
  { positions, stream, id }: { positions: Positions; stream: string; id: string },
): Promise<void> {
  const { runtime, clock, log, signal } = context;
  // When the position cannot be stored, lines are sent twice only after a restart.
  const save = (next: Position): Promise<void> =>
    positions
      .write(stream, next)
      .catch((error: unknown) => log.warn("the sent position of a log cannot be stored", { error: messageOf(error) }));
  while (!signal.aborted) {
    try {
      const position = await positions.read(stream);
      if (position?.done) return;
      const since = position ? { since: Date.parse(position.stamp) - overlapMilliseconds } : {};
      const output = runtime.streams.logs(id, { follow: true, timestamps: true, ...since, signal });
      const last = await ship({ ...context, stream, position, output, save });
      if (!signal.aborted && last) await save({ ...last, done: true });
      return;
    } catch (error) {
      // Removed before it could be read.
      if (isRuntimeError(error, "notFound")) return;
      log.warn("a container's log cannot be read; it is retried", { stream, error: messageOf(error) });
    }
    await sleep(clock, retryMilliseconds, signal);
  }
}
