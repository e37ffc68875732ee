import { join } from "node:path";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { type Container, isRuntimeError, type Runtime, type Sandbox } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";
import { overlap, type Position, type Positions, positionsIn } from "./positions.ts";
import { type Put, putTo } from "./put.ts";
import { Room } from "./room.ts";
import { ship } from "./shipment.ts";

export interface ShippingOptions {
  runtime: Runtime;
  region: string;
  /** The log group. */
  group: string;
  /** Remembers here how far each container's output is sent. */
  folder: string;
  clock: Clock;
  log: Log;
  /** Instead of the service's own. */
  put?: Put;
}

export interface Shipping {
  /** Sends what is at hand, if that goes at once. */
  stop(): Promise<void>;
}

/** What waits to be sent, of all containers together, in bytes. */
const mostWaiting = 8 * 1024 * 1024;
const pause = 5000;
const patience = { connectionTimeout: 5000, requestTimeout: 10_000, throwOnRequestTimeout: true };

/**
 * The stream of one run of a container: found by namespace, pod, uid, container, and how often it was started before.
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
  const client = new CloudWatchLogsClient({ region, requestHandler: patience });
  const put = options.put ?? putTo(client, group, log);
  const place: Place = { ...options, put, room: new Room(mostWaiting), signal };
  const running = new Map<string, Promise<void>>();
  /** By uid of their pod: streams of containers that the runtime has, and those of them that are sent whole. */
  const listed = new Map<string, ReadonlyMap<string, Container>>();
  const done = new Map<string, Set<string>>();

  const start = (positions: Positions, uid: string, stream: string, id: string): Promise<void> =>
    shipAll(place, positions, stream, id).then(async () => {
      running.delete(stream);
      if (signal.aborted) return;
      if (listed.get(uid)?.has(stream)) done.set(uid, (done.get(uid) ?? new Set()).add(stream));
      else await positions.remove(stream);
    });
  const look = async (positions: Positions, uid: string, there: ReadonlyMap<string, Container>): Promise<void> => {
    const whole = done.get(uid) ?? new Set();
    if (there.size > 0) listed.set(uid, there);
    else listed.delete(uid);
    for (const [stream, { id, state }] of there) {
      if (state === "created" || running.has(stream) || whole.has(stream)) continue;
      running.set(stream, start(positions, uid, stream, id));
    }
    for (const stream of whole) {
      if (there.has(stream)) continue;
      whole.delete(stream);
      await positions.remove(stream);
    }
    if (whole.size === 0) done.delete(uid);
  };
  const follow = async (): Promise<void> => {
    const positions = await positionsIn(join(options.folder, "shipped"));
    const there = streamsOf(await runtime.pods.list());
    await positions.keepOnly(new Set([...there.keys(), ...running.keys()]));
    for await (const uid of runtime.changes(signal)) {
      await look(positions, uid, streamsOf(await runtime.pods.list({ uid })));
    }
  };
  const keep = async (): Promise<void> => {
    while (!signal.aborted) {
      await follow().catch((error: unknown) =>
        log.warn("containers' logs cannot be followed for the moment", { error: messageOf(error) }),
      );
      await sleep(clock, pause, signal);
    }
  };
  const keeping = keep();
  return {
    async stop() {
      stopping.abort();
      await keeping;
      await Promise.all(running.values());
      client.destroy();
    },
  };
}

const streamsOf = (sandboxes: readonly Sandbox[]): Map<string, Container> =>
  new Map(sandboxes.flatMap((one) => one.containers.map((each) => [streamOf(one, each), each] as const)));

interface Place extends ShippingOptions {
  put: Put;
  room: Room;
  signal: AbortSignal;
}

/** Sends one container's output to its end, through whatever failures. Never rejects. */
async function shipAll(place: Place, positions: Positions, stream: string, id: string): Promise<void> {
  const { runtime, clock, log, signal } = place;
  // A full disk is no reason to send anything twice: only a restart would do that.
  const save = (next: Position): Promise<void> =>
    positions
      .write(stream, next)
      .catch((error: unknown) => log.warn("how much of a log is sent cannot be kept", { error: messageOf(error) }));
  while (!signal.aborted) {
    try {
      const position = await positions.read(stream);
      if (position?.done) return;
      const since = position ? { since: Date.parse(position.stamp) - overlap } : {};
      const output = runtime.streams.logs(id, { follow: true, timestamps: true, ...since, signal });
      const last = await ship({ ...place, stream, position, output, save });
      if (!signal.aborted && last) await save({ ...last, done: true });
      return;
    } catch (error) {
      // Gone before it could be read.
      if (isRuntimeError(error, "notFound")) return;
      log.warn("a container's log cannot be read for the moment", { stream, error: messageOf(error) });
    }
    await sleep(clock, pause, signal);
  }
}
