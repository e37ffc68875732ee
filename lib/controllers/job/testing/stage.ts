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
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";

export const start = Date.parse("2026-03-01T12:00:00Z");
export const second = 1000;
export const minute = 60 * second;

/** Ends the controller's process at one of its writes: before the write, or after it and before its answer arrives. */
export interface Death {
  write: number;
  when: "before" | "after";
}

class Died extends Error {}

const namespace = "default";
const nodeName = "one";

/** Counts the writes of controllers and ends their process at one of them; calls that are in flight then never return. */
class WriteCounter {
  writes = 0;
  isDead = false;
  readonly #death: Death | undefined;

  constructor(death: Death | undefined) {
    this.#death = death;
  }

  async #write<T>(act: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Died();
    const isLast = this.#death?.write === ++this.writes;
    if (isLast) this.isDead = true;
    if (isLast && this.#death?.when === "before") throw new Died();
    const result = await act();
    if (this.isDead) throw new Died();
    return result;
  }

  /** The same client; its writes are counted. */
  through(client: Client): Client {
    return {
      get: (...args) => client.get(...args),
      list: (...args) => client.list(...args),
      watch: (...args) => client.watch(...args),
      create: (...args) => this.#write(() => client.create(...args)),
      update: (...args) => this.#write(() => client.update(...args)),
      patch: (...args) => this.#write(() => client.patch(...args)),
      delete: (...args) => this.#write(() => client.delete(...args)),
      createSubresource: (...args) => this.#write(() => client.createSubresource(...args)),
    };
  }
}

/** Opens the API without controllers, with one node and a clock that only the test moves. */
export async function openStage(death?: Death): Promise<Stage> {
  const cluster = await openCluster({ clock: handClock(start), asleep: true });
  const { client } = cluster;
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(serviceAccounts, { metadata: { name: "default", namespace } });
  await cluster.addNode(nodeName);
  return new Stage(cluster, death);
}

/** Runs single reconciles over a real API, and does what users and the node do. */
export class Stage {
  readonly client: Client;
  readonly clock: HandClock;
  /** What controllers recorded, such as `Normal Completed Job completed`. */
  readonly events: string[] = [];
  readonly #cluster: TestCluster;
  #counter: WriteCounter;
  #context: ControllerContext;

  constructor(cluster: TestCluster, death: Death | undefined) {
    this.client = cluster.client;
    this.clock = cluster.clock;
    this.#cluster = cluster;
    this.#counter = new WriteCounter(death);
    this.#context = this.#contextWith(this.#counter.through(this.client));
  }

  #contextWith(client: Client): ControllerContext {
    return {
      client,
      served: this.#cluster.plane.resources.registry,
      clock: this.clock,
      random: systemRandom,
      log: silentLog,
      record: (_about, type, reason, message) => void this.events.push(`${type} ${reason} ${message}`),
      signal: new AbortController().signal,
    };
  }

  /** How many writes the controllers have made. */
  get writes(): number {
    return this.#counter.writes;
  }

  /** Reconciles one key. A death ends it and asks for another reconcile, which runs as a new process. */
  async reconcile(controller: AnyController, name: string): Promise<Result | undefined> {
    const key: Key = { namespace, name };
    const outcome = await Promise.resolve(controller.reconcile(this.#context, key)).then(
      (result) => ({ result: result ?? undefined }),
      (error: unknown) => ({ error }),
    );
    if (this.#counter.isDead) {
      this.#restart();
      return { requeueAfter: 0 };
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.result;
  }

  /** A process after a death: another client, of which controllers remember nothing, and no further death. */
  #restart(): void {
    const { writes } = this.#counter;
    this.#counter = new WriteCounter(undefined);
    this.#counter.writes = writes;
    this.#context = this.#contextWith(this.#counter.through(this.client));
  }

  /** Reconciles a key until nothing is written any more. Resolves with the last result. */
  async settle(controller: AnyController, name: string): Promise<Result | undefined> {
    for (let round = 0; round < 50; round++) {
      const before = this.writes;
      const result = await this.reconcile(controller, name);
      if (this.writes === before) return result;
    }
    throw new Error("the controller does not settle");
  }

  /** Creates an object as a client sends it. */
  async make<T extends KubernetesObject>(object: object): Promise<T> {
    const { apiVersion, kind } = object as { apiVersion: string; kind: string };
    const path = `/apis/${apiVersion}/namespaces/${namespace}/${kind.toLowerCase()}s`;
    const answer = await this.#cluster.ask("POST", path, object);
    if (answer.status !== 201) throw new Error(answer.json.message);
    return answer.json as T;
  }

  job(name = "pi"): Promise<Job> {
    return this.client.get(jobs, { namespace, name });
  }

  /** Changes a job as a user does. */
  async change(patch: object, name = "pi"): Promise<void> {
    await this.client.patch(jobs, { namespace, name }, patch, { type: "merge" });
  }

  async pods(): Promise<Pod[]> {
    return (await this.client.list(pods, { namespace })).items;
  }

  /** Pods that have not ended and are not being deleted. */
  async active(): Promise<Pod[]> {
    return (await this.pods()).filter(isActive);
  }

  /** Binds a pod to the node and starts it. */
  async run(pod: Pod, ready = true): Promise<void> {
    await this.#bind(pod);
    const lastTransitionTime = formatTime(this.clock.now());
    const conditions = [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }];
    await this.#setStatus(pod, { phase: "Running", conditions });
  }

  /** Ends a pod with this exit code. */
  async finish(pod: Pod, exitCode = 0, more: object = {}): Promise<void> {
    await this.#bind(pod);
    const finishedAt = formatTime(this.clock.now());
    const [container] = pod.spec?.containers ?? [];
    const state = { terminated: { exitCode, finishedAt, startedAt: finishedAt } };
    const status = { name: container?.name ?? "", ready: false, restartCount: 0, image: "", imageID: "", state };
    await this.#setStatus(pod, {
      phase: exitCode === 0 ? "Succeeded" : "Failed",
      containerStatuses: [status],
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: finishedAt }],
      ...more,
    });
  }

  /** Removes pods that are being deleted, as their node does; those that have not ended get `phase` before. */
  async removeDeleted(phase?: "Failed" | "Succeeded"): Promise<void> {
    for (const pod of await this.pods()) {
      const { name = "", uid, deletionTimestamp } = pod.metadata;
      if (!deletionTimestamp) continue;
      if (phase && !hasEnded(pod)) await this.#setStatus(pod, { phase });
      await ignoreNotFound(this.client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 }));
    }
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }

  async #bind({ metadata }: Pod): Promise<void> {
    const { name = "" } = metadata;
    const pod = await this.client.get(pods, { namespace, name });
    if (pod.spec?.nodeName) return;
    const binding = { metadata: { name }, target: { kind: nodes.kind, name: nodeName } } as KubernetesObject;
    await this.client.createSubresource(pods, { namespace, name }, "binding", binding);
  }

  async #setStatus({ metadata }: Pod, status: object): Promise<void> {
    const { name = "" } = metadata;
    const pod = clone(await this.client.get(pods, { namespace, name }));
    await this.client.update(pods, { ...pod, status: { ...pod.status, ...status } } as Pod, { subresource: "status" });
  }
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
