import {
  hasEnded,
  type Job,
  jobs,
  type KubernetesObject,
  namespaces,
  nodes,
  type Pod,
  pods,
  serviceAccounts,
} from "#api";
import { clone, formatTime, ignoreNotFound, silentLog, systemRandom } from "#base";
import type { Client } from "#client";
import { isActive } from "#controllers/workload";
import type { AnyController, ControllerContext, Key, Result } from "#reconcile";
import { openCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";

export const start = Date.parse("2026-03-01T12:00:00Z");
export const second = 1000;
export const minute = 60 * second;

/** What a controller told: `Normal Completed Job completed`. */
export type Told = string;

/** Dies at one of its writes: just before it, or just after it has been made and before anybody hears of it. */
export interface Death {
  write: number;
  when: "before" | "after";
}

class Died extends Error {}

/** A client whose process ends at a write; what was on the way then never comes back. */
function dyingClient(client: Client, counter: { writes: number; dead: boolean }, death: Death | undefined): Client {
  const write = async <T>(act: () => Promise<T>): Promise<T> => {
    if (counter.dead) throw new Died();
    const isLast = death?.write === ++counter.writes;
    if (isLast) counter.dead = true;
    if (isLast && death.when === "before") throw new Died();
    const result = await act();
    if (counter.dead) throw new Died();
    return result;
  };
  return {
    get: (...args) => client.get(...args),
    list: (...args) => client.list(...args),
    watch: (...args) => client.watch(...args),
    create: (...args) => write(() => client.create(...args)),
    update: (...args) => write(() => client.update(...args)),
    patch: (...args) => write(() => client.patch(...args)),
    remove: (...args) => write(() => client.remove(...args)),
    act: (...args) => write(() => client.act(...args)),
  };
}

export interface Stage {
  client: Client;
  clock: HandClock;
  told: Told[];
  /** How many writes the controllers have made. */
  readonly writes: number;
  /** One look of a controller; a death ends it and the next look is another process's. */
  look(controller: AnyController, name: string): Promise<Result | undefined>;
  /** Looks until nothing is written any more. The last look's result. */
  settle(controller: AnyController, name: string): Promise<Result | undefined>;
  make<T extends KubernetesObject>(object: object): Promise<T>;
  job(name?: string): Promise<Job>;
  /** Changes a job as a user does. */
  change(patch: object, name?: string): Promise<void>;
  pods(): Promise<Pod[]>;
  /** Pods that wait or run and are not being deleted. */
  active(): Promise<Pod[]>;
  /** Puts a pod onto the node and starts it. */
  run(pod: Pod, ready?: boolean): Promise<void>;
  /** Ends a pod with this exit code. */
  finish(pod: Pod, exitCode?: number, more?: object): Promise<void>;
  /** Plays the node: lets go what is being deleted. `phase` says how it ended. */
  letGo(phase?: "Failed" | "Succeeded"): Promise<void>;
  close(): Promise<void>;
}

const namespace = "default";

/** The API without controllers, a clock that stands still, and the means to look, run pods and die. */
export async function openStage(death?: Death): Promise<Stage> {
  const clock = handClock(start);
  const cluster = await openCluster({ clock, asleep: true });
  const { client } = cluster;
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(serviceAccounts, { metadata: { name: "default", namespace } });
  await cluster.addNode("one");
  const told: Told[] = [];
  const counter = { writes: 0, dead: false };
  const born = (how: Death | undefined): ControllerContext => ({
    client: dyingClient(client, counter, how),
    served: cluster.plane.resources.registry,
    clock,
    random: systemRandom,
    log: silentLog,
    record: (_about, type, reason, message) => void told.push(`${type} ${reason} ${message}`),
    signal: new AbortController().signal,
  });
  let context = born(death);
  const look: Stage["look"] = async (controller, name) => {
    const key: Key = { namespace, name };
    const outcome = await Promise.resolve(controller.reconcile(context, key)).then(
      (result) => ({ result: result ?? undefined }),
      (error: unknown) => ({ error }),
    );
    if (counter.dead) {
      counter.dead = false;
      context = born(undefined);
      return { requeueAfter: 0 };
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.result;
  };
  const list = async () => (await client.list(pods, { namespace })).items;
  return {
    client,
    clock,
    told,
    get writes() {
      return counter.writes;
    },
    look,
    async settle(controller, name) {
      for (let round = 0; round < 50; round++) {
        const before = counter.writes;
        const result = await look(controller, name);
        if (counter.writes === before) return result;
      }
      throw new Error("the controller does not come to rest");
    },
    async make<T extends KubernetesObject>(object: object) {
      const { apiVersion, kind } = object as { apiVersion: string; kind: string };
      const resource = `${kind.toLowerCase()}s`;
      const answer = await cluster.ask("POST", `/apis/${apiVersion}/namespaces/${namespace}/${resource}`, object);
      if (answer.status !== 201) throw new Error(answer.json.message);
      return answer.json as T;
    },
    job: (name = "pi") => client.get(jobs, { namespace, name }),
    async change(patch, name = "pi") {
      await client.patch(jobs, { namespace, name }, patch, { type: "merge" });
    },
    pods: list,
    active: async () => (await list()).filter(isActive),
    async run(pod, ready = true) {
      await bind(client, pod);
      const conditions = [
        { type: "Ready", status: ready ? "True" : "False", lastTransitionTime: formatTime(clock.now()) },
      ];
      await setStatus(client, pod, { phase: "Running", conditions });
    },
    async finish(pod, exitCode = 0, more = {}) {
      await bind(client, pod);
      const finishedAt = formatTime(clock.now());
      const [container] = pod.spec?.containers ?? [];
      const state = { terminated: { exitCode, finishedAt, startedAt: finishedAt } };
      const status = { name: container?.name ?? "", ready: false, restartCount: 0, image: "", imageID: "", state };
      await setStatus(client, pod, {
        phase: exitCode === 0 ? "Succeeded" : "Failed",
        containerStatuses: [status],
        conditions: [{ type: "Ready", status: "False", lastTransitionTime: finishedAt }],
        ...more,
      });
    },
    async letGo(phase) {
      for (const pod of await list()) {
        const { name = "", uid, deletionTimestamp } = pod.metadata;
        if (!deletionTimestamp) continue;
        if (phase && !hasEnded(pod)) await setStatus(client, pod, { phase });
        await ignoreNotFound(client.remove(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 }));
      }
    },
    close: () => cluster.close(),
  };
}

async function bind(client: Client, { metadata }: Pod): Promise<void> {
  const { name = "" } = metadata;
  const pod = await client.get(pods, { namespace, name });
  if (pod.spec?.nodeName) return;
  const target = { kind: nodes.kind, name: "one" };
  await client.act(pods, { namespace, name }, "binding", { metadata: { name }, target } as KubernetesObject);
}

async function setStatus(client: Client, { metadata }: Pod, status: object): Promise<void> {
  const { name = "" } = metadata;
  const pod = clone(await client.get(pods, { namespace, name }));
  await client.update(pods, { ...pod, status: { ...pod.status, ...status } } as Pod, { subresource: "status" });
}

type Spec = Record<string, unknown>;

/** A job as a client sends it. */
export const jobObject = (spec: Spec = {}, metadata: Spec = {}): object => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "pi", namespace, ...metadata },
  spec: {
    template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox" }] } },
    ...spec,
  },
});

/** The conditions that are true, with their reasons, in the order in which they were set. */
export const conditionsOf = ({ status }: Job): string[] =>
  (status?.conditions ?? [])
    .filter((condition) => condition.status === "True")
    .map(({ type, reason }) => `${type} ${reason}`);
