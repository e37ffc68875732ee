import { type Deployment, deployments, type Job, jobs, nodes, type Pod, pods, replicaSets } from "#api";
import { isApiError, systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { playAgents } from "#test/cluster";
import type { Call, Fault } from "./cloud.ts";
import type { Weather } from "./mappings.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/*
 * One run of a small cluster under faults: stream records and messages arrive twice, late and out of order; tables
 * throttle, conflict, and lose responses; functions are killed between any two of their calls. The result is always the
 * same.
 */

/** Numbers that a seed decides (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The probability of each fault. */
export interface Climate {
  again: number;
  shuffled: number;
  delayed: number;
  throttled: number;
  conflict: number;
  lost: number;
  killed: number;
}

export const defaultFaults: Climate = {
  again: 0.15,
  shuffled: 0.3,
  delayed: 0.2,
  throttled: 0.02,
  conflict: 0.05,
  lost: 0.01,
  killed: 0.003,
};

/** A report of the run, for failures. */
export interface ChaosReport {
  seed: number;
  faults: Record<string, number>;
  milliseconds: number;
}

const throttle = { __type: "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", message: "slow" };
const conflict = {
  __type: "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
  message: "Transaction cancelled",
  CancellationReasons: [{ Code: "TransactionConflict" }],
};

/** Executes a run. Throws when the final state is wrong. */
export async function live(built: Built, seed: number, faultRates = defaultFaults): Promise<ChaosReport> {
  const started = Date.now();
  const roll = dice(seed);
  const faults: Record<string, number> = {};
  let isStormy = false;
  const strikes = (kind: keyof Climate): boolean => {
    if (!isStormy || roll() >= faultRates[kind]) return false;
    faults[kind] = (faults[kind] ?? 0) + 1;
    return true;
  };
  const weather: Weather = {
    again: () => strikes("again"),
    order: (records) => (strikes("shuffled") ? [...records].sort(() => roll() - 0.5) : records),
    delay: () => (strikes("delayed") ? Math.floor(roll() * 400) : 0),
  };
  let stage: Stage | undefined;
  const fault = ({ instance, target }: Call): Fault | undefined => {
    if (strikes("killed")) stage?.functions.get(instance.replace(/-\d+$/, ""))?.kill(instance);
    if (!target.startsWith("DynamoDB")) return undefined;
    if (strikes("throttled")) return { kind: "refused", status: 400, body: throttle };
    if (target.endsWith("TransactWriteItems") && strikes("conflict"))
      return { kind: "refused", status: 400, body: conflict };
    return strikes("lost") ? { kind: "lost" } : undefined;
  };
  stage = await openStage({ built, whoIs, weather, fault });
  try {
    await stage.deploy();
    const client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
    isStormy = true;
    await play(stage, client);
    client.close();
    return { seed, faults, milliseconds: Date.now() - started };
  } finally {
    isStormy = false;
    await stage.stop();
  }
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
const maxWait = 90_000;

/** Repeats a request until it is answered: a client of a server that is being killed. */
async function insist<T>(
  what: () => Promise<T>,
  isDone: (error: unknown) => boolean = () => false,
): Promise<T | undefined> {
  const end = Date.now() + maxWait;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (isDone(error)) return undefined;
      const mayPass = !isApiError(error) || (error.status.code ?? 500) >= 429 || error.status.code === 409;
      if (!mayPass || Date.now() > end) throw error;
      await pause(50);
    }
  }
}
const is = (reason: string) => (error: unknown) => isApiError(error) && error.status.reason === reason;

const web = (image: string): Deployment => ({
  metadata: { namespace: "default", name: "web" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
  },
});
const work: Job = {
  metadata: { namespace: "default", name: "work" },
  spec: {
    completions: 2,
    parallelism: 1,
    template: {
      metadata: { labels: { app: "work" } },
      spec: { restartPolicy: "Never", containers: [{ name: "work", image: "work:1" }] },
    },
  },
};
const node = (name: string) => ({
  metadata: { name, labels: { "kubernetes.io/hostname": name } },
  status: {
    allocatable: { cpu: "4", memory: "8Gi", pods: "50" },
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: "2999-01-01T00:00:00Z" }],
  },
});

/** Simulates agents: bound pods run, those of jobs end. */
async function agents(client: HttpClient, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await playAgents(client, systemClock).catch(() => {});
    const { items } = await client.list(pods, { namespace: "default" }).catch(() => ({ items: [] as Pod[] }));
    for (const pod of items) {
      if (pod.metadata.labels?.["app"] !== "work" || pod.status?.phase !== "Running") continue;
      const status = { ...pod.status, phase: "Succeeded" };
      await client.update(pods, { ...pod, status }, { subresource: "status" }).catch(() => {});
    }
    await pause(100);
  }
}

/** The nodes of every pod ever bound, by uid: read from a watch of all pods. */
function places(client: HttpClient, signal: AbortSignal): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>();
  const look = async () => {
    while (!signal.aborted) {
      const { items } = await client.list(pods).catch(() => ({ items: [] as Pod[] }));
      for (const { metadata, spec } of items) {
        if (!spec?.nodeName) continue;
        seen.set(metadata.uid!, (seen.get(metadata.uid!) ?? new Set()).add(spec.nodeName));
      }
      await pause(150);
    }
  };
  void look();
  return seen;
}

async function play(stage: Stage, client: HttpClient): Promise<void> {
  let isOver = false;
  const stop = new AbortController();
  const bound = places(client, stop.signal);
  const playing = agents(client, () => isOver);
  const ticking = (async () => {
    while (!isOver) {
      await stage.tick().catch(() => {});
      await pause(1500);
    }
  })();
  try {
    for (const name of ["one", "two"]) await insist(() => client.create(nodes, node(name)), is("AlreadyExists"));
    await insist(() => client.create(deployments, web("web:1")), is("AlreadyExists"));
    await insist(() => client.create(jobs, work), is("AlreadyExists"));
    await until("the first image runs", () => runs(client, "web:1"));
    const spec = { template: { spec: { containers: [{ name: "web", image: "web:2" }] } } };
    const name = { namespace: "default", name: "web" };
    await insist(() => client.patch(deployments, name, { spec }, { type: "strategic" }));
    await until("the second image runs", () => runs(client, "web:2"));
    await until("the job is complete", () => isComplete(client));
    await insist(() => client.delete(deployments, name, { propagation: "Foreground" }), is("NotFound"));
    await until("nothing of the deployment is left", () => isGone(client));
  } finally {
    isOver = true;
    stop.abort();
    await Promise.all([playing, ticking]);
  }
  for (const [uid, on] of bound) if (on.size > 1) throw new Error(`pod ${uid} was bound to ${[...on].join(" and ")}`);
}

async function until(what: string, holds: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + maxWait;
  let last: unknown;
  for (;;) {
    last = await holds().catch((error: unknown) => String(error));
    if (last === true) return;
    if (Date.now() > end) throw new Error(`not so within ${maxWait / 1000} s: ${what}: ${JSON.stringify(last)}`);
    await pause(200);
  }
}

/** True, or the difference from the expected state. */
async function runs(client: HttpClient, image: string): Promise<unknown> {
  const { items } = await client.list(pods, { namespace: "default" });
  const own = items.filter(({ metadata }) => metadata.labels?.["app"] === "web");
  const { status } = await client.get(deployments, { namespace: "default", name: "web" });
  const good = own.filter((pod) => pod.spec?.containers[0]?.image === image && pod.status?.phase === "Running");
  if (good.length === 3 && own.length === 3 && status?.availableReplicas === 3 && status.updatedReplicas === 3)
    return true;
  return {
    status,
    pods: own.map((pod) => [pod.metadata.name, pod.spec?.nodeName, pod.status?.phase, pod.metadata.deletionTimestamp]),
  };
}

async function isComplete(client: HttpClient): Promise<unknown> {
  const { status } = await client.get(jobs, { namespace: "default", name: "work" });
  const isDone = status?.conditions?.some(({ type, status: value }) => type === "Complete" && value === "True");
  return (isDone && status?.succeeded === 2) || status;
}

async function isGone(client: HttpClient): Promise<unknown> {
  const left = await client.list(deployments, { namespace: "default" });
  const sets = await client.list(replicaSets, { namespace: "default" });
  const own = (await client.list(pods, { namespace: "default" })).items.filter(
    ({ metadata }) => metadata.labels?.["app"] === "web",
  );
  const counts = [left.items.length, sets.items.length, own.length];
  return counts.every((count) => count === 0) || counts;
}
