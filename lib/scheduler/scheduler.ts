import { type Binding, findCondition, hasEnded, type Node, nodes, type Pod, pods, withTransitionTime } from "#api";
import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, deepEqual, isReason, type Log, messageOf, type Random } from "#base";
import { type Client, followKind } from "#client";
import type { SchedulingMetrics } from "#metrics";
import type { ObjectEvent, Recorder } from "#reconcile";
import { nodeDiffers } from "./concerns.ts";
import { type Failure, type Outcome, schedule } from "./cycle.ts";
import { type Plugin, podInfo } from "./framework/index.ts";
import { plugins as defaultPlugins } from "./plugins/index.ts";
import { type Queued, SchedulingQueue } from "./queue.ts";
import { Snapshot } from "./snapshot.ts";

export interface SchedulerOptions {
  client: Client;
  clock: Clock;
  random: Random;
  log: Log;
  record: Recorder;
  metrics?: SchedulingMetrics;
  /** Defaults to those of upstream's default plugins that are implemented. */
  plugins?: readonly Plugin[];
  /** Only pods with this schedulerName are scheduled. Defaults to `default-scheduler`. */
  name?: string;
  /** Called before each batch of bindings. Rejects when another scheduler has started since: nothing is bound then. */
  fence?: () => Promise<void>;
}

export interface Scheduler {
  /** Resolves when all nodes and pods have been read once. */
  readonly ready: Promise<void>;
  /** Pods that are being scheduled or bound, or whose failure is being written. */
  readonly busy: number;
  /** How many bindings have failed so far; their pods are tried again after a backoff. */
  readonly failures: number;
  /** Resolves when the watches have ended. */
  stop(): Promise<void>;
}

/** The most bindings in flight: the store writes concurrent ones together. */
const bindsAtOnce = 256;

/** Starts the scheduler in this process. */
export const startScheduler = (options: SchedulerOptions): Scheduler => new RunningScheduler(options);

class RunningScheduler implements Scheduler {
  readonly ready: Promise<void>;
  readonly #options: SchedulerOptions;
  readonly #plugins: readonly Plugin[];
  readonly #name: string;
  readonly #stopped = new AbortController();
  readonly #snapshot = new Snapshot();
  readonly #queue: SchedulingQueue;
  readonly #rotation = { next: 0 };
  readonly #following: Promise<unknown>;
  /** Bindings in flight. */
  #binding = 0;
  /** Failures to schedule whose condition is being written. */
  #reporting = 0;
  #failures = 0;
  #isReady = false;
  #isTurning = false;

  constructor(options: SchedulerOptions) {
    const { clock, plugins = defaultPlugins, name = "default-scheduler" } = options;
    this.#options = options;
    this.#plugins = plugins;
    this.#name = name;
    this.#queue = new SchedulingQueue(
      clock,
      plugins,
      () => this.#turn(),
      (plugin, { pod }, error) => this.#reportFault(pods, pod, `the hint of plugin ${plugin.name} failed`, error),
    );
    const nodesRead = Promise.withResolvers<void>();
    const podsRead = Promise.withResolvers<void>();
    this.#following = Promise.all([
      this.#followNodes(nodesRead.resolve),
      // Nodes are read before pods: a pod that is scheduled without any node would be unschedulable.
      nodesRead.promise.then(() => this.#followPods(podsRead.resolve)).finally(podsRead.resolve),
    ]);
    this.ready = podsRead.promise.then(() => {
      this.#isReady = true;
      this.#turn();
    });
  }

  get busy(): number {
    return this.#queue.busy + this.#binding + this.#reporting;
  }

  get failures(): number {
    return this.#failures;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#queue.close();
    await this.#following;
  }

  /** Schedules queued pods in a microtask, so that pods which arrive together are bound together. */
  #turn(): void {
    if (this.#isTurning || !this.#isReady || this.#stopped.signal.aborted) return;
    this.#isTurning = true;
    queueMicrotask(() => {
      this.#isTurning = false;
      let permitted: Promise<void> | undefined;
      while (this.#binding < bindsAtOnce) {
        const next = this.#queue.take();
        if (!next) return;
        permitted ??= this.#options.fence?.() ?? Promise.resolve();
        this.#place(next, permitted);
      }
    });
  }

  #place(queued: Queued, permitted: Promise<void>): void {
    const outcome = this.#schedule(queued);
    const result = outcome.node ? "scheduled" : outcome.reason === "SchedulerError" ? "error" : "unschedulable";
    this.#options.metrics?.attempted(result);
    if (!outcome.node) {
      // Without a binding the fence does not matter.
      permitted.catch(() => {});
      this.#reporting++;
      void this.#fail(queued, outcome).finally(() => {
        this.#reporting--;
      });
      return;
    }
    this.#snapshot.assume(queued.info, outcome.node.name);
    this.#binding++;
    void this.#bind(queued, outcome.node.name, permitted).finally(() => {
      this.#binding--;
      this.#turn();
    });
  }

  /** As upstream, the attempt fails if a plugin throws, and the pod is tried again after a backoff. */
  #schedule(queued: Queued): Outcome {
    const { random, log } = this.#options;
    const { nodes: candidates } = this.#snapshot;
    try {
      return schedule({
        plugins: this.#plugins,
        pod: queued.info,
        nodes: candidates,
        rotation: this.#rotation,
        random,
      });
    } catch (error) {
      const { namespace, name } = queued.info.pod.metadata;
      log.error("a pod could not be scheduled", { pod: `${namespace}/${name}`, error: messageOf(error) });
      return { node: undefined, reason: "SchedulerError", message: messageOf(error), rejectedBy: new Set() };
    }
  }

  async #bind(queued: Queued, node: string, permitted: Promise<void>): Promise<void> {
    const { client, log, record } = this.#options;
    const { pod, uid } = queued.info;
    const { namespace, name = "" } = pod.metadata;
    const binding: Binding = {
      metadata: { namespace, name, uid: pod.metadata.uid },
      target: { kind: nodes.kind, name: node },
    };
    try {
      await permitted;
      await client.createSubresource(pods, { namespace, name }, "binding", binding);
      this.#queue.drop(uid);
      const message = `Successfully assigned ${namespace}/${name} to ${node}`;
      record({ kind: pods, object: pod }, "Normal", "Scheduled", message);
    } catch (error) {
      this.#snapshot.forget(uid);
      if (isReason(error, "NotFound")) {
        this.#queue.drop(uid);
        return;
      }
      this.#failures++;
      log.warn("a pod could not be bound", { pod: `${namespace}/${name}`, node, error: messageOf(error) });
      this.#queue.failed(queued, new Set());
    }
  }

  /** Returns a pod to the queue and reports why it could not be scheduled, by an event and by its condition. */
  async #fail(queued: Queued, { reason, message, rejectedBy }: Failure): Promise<void> {
    const { log, record } = this.#options;
    this.#queue.failed(queued, rejectedBy);
    const { pod } = queued.info;
    record({ kind: pods, object: pod }, "Warning", "FailedScheduling", message);
    await this.#writeCondition(pod, reason, message).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) log.warn("a pod's condition could not be written", { error: messageOf(error) });
    });
  }

  async #writeCondition(pod: Pod, reason: string, message: string): Promise<void> {
    const { client, clock } = this.#options;
    const { namespace, name = "", uid, generation } = pod.metadata;
    const before = findCondition(pod.status?.conditions, "PodScheduled");
    const update = { type: "PodScheduled", status: "False", reason, message };
    if (before && deepEqual({ ...before, ...update }, before)) return;
    const observed = generation === undefined ? {} : { observedGeneration: Number(generation) };
    const condition = withTransitionTime(before, { ...update, ...observed }, clock.now());
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name }, patch, { type: "strategic", subresource: "status" });
  }

  #followNodes(whole: () => void): Promise<void> {
    const { client, clock, log } = this.#options;
    const changed = (event: ObjectEvent<Node>): void =>
      this.#contain(nodes, event.object, "a node could not be processed", () => this.#nodeChanged(event));
    return followKind<Node>({ client, clock, log, signal: this.#stopped.signal, kind: nodes, changed, whole }).finally(
      whole,
    );
  }

  #followPods(whole: () => void): Promise<void> {
    const { client, clock, log } = this.#options;
    const changed = (event: ObjectEvent<Pod>): void =>
      this.#contain(pods, event.object, "a pod could not be processed", () => this.#podChanged(event));
    return followKind<Pod>({ client, clock, log, signal: this.#stopped.signal, kind: pods, changed, whole });
  }

  #nodeChanged({ type, object: node, previous }: ObjectEvent<Node>): void {
    if (type === "DELETED") {
      this.#snapshot.deleteNode(node.metadata.name ?? "");
      return;
    }
    this.#snapshot.setNode(node);
    if (type === "ADDED" || !previous) this.#queue.event({ type: "node-added", node });
    else if (nodeDiffers(previous, node)) this.#queue.event({ type: "node-updated", node, previous });
  }

  #podChanged({ type, object: pod, previous }: ObjectEvent<Pod>): void {
    const { metadata, spec } = pod;
    const { uid = "" } = metadata;
    if (type === "DELETED" || hasEnded(pod)) {
      this.#queue.drop(uid);
      this.#snapshot.forget(uid);
      if (spec?.nodeName) this.#queue.event({ type: "pod-removed", pod });
      return;
    }
    if (spec?.nodeName) {
      this.#queue.drop(uid);
      this.#snapshot.setPod(pod);
      if (previous?.spec?.nodeName && !deepEqual(previous.metadata.labels, metadata.labels))
        this.#queue.event({ type: "pod-updated", pod });
      return;
    }
    if (metadata.deletionTimestamp) {
      // Finalizers may keep the object, but it needs no node any more.
      this.#queue.drop(uid);
      return;
    }
    if ((spec?.schedulerName ?? this.#name) !== this.#name) return;
    if (this.#plugins.some((plugin) => plugin.preEnqueue?.(pod) !== undefined)) return;
    this.#queue.put(podInfo(pod));
  }

  /** Confines an error to the object that caused it: the other objects are processed as before. */
  #contain(kind: Kind, object: KubernetesObject, what: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#reportFault(kind, object, what, error);
    }
  }

  #reportFault(kind: Kind, object: KubernetesObject, what: string, error: unknown): void {
    const { log, metrics, record } = this.#options;
    const { namespace, name } = object.metadata;
    log.error(what, { kind: kind.kind, namespace, name, error: messageOf(error) });
    metrics?.panicked();
    record({ kind, object }, "Warning", "SchedulerError", `${what}: ${messageOf(error)}`);
  }
}
