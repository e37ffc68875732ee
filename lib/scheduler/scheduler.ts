import { type Binding, findCondition, hasEnded, type Node, nodes, type Pod, pods, withTransitionTime } from "#api";
import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, deepEqual, isReason, type Log, messageOf, type Random } from "#base";
import { type Client, followKind } from "#client";
import type { SchedulingMetrics } from "#metrics";
import type { Recorder } from "#reconcile";
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
  plugins?: readonly Plugin[];
  /** The pods that name this scheduler are its own. */
  name?: string;
  /**
   * Asked before each batch of bindings: rejects when somebody has begun to place pods after this scheduler did, who
   * then is the one to go on.
   */
  fence?: () => Promise<void>;
}

export interface Scheduler {
  /** Resolves when all nodes and pods have been seen once. */
  ready: Promise<void>;
  /** Pods that are being placed or bound, or told that they cannot be. */
  readonly busy: number;
  /** How many bindings have failed so far; their pods are tried again after a pause. */
  readonly failures: number;
  stop(): Promise<void>;
}

/** So many bindings are under way at once: the store writes those of one moment together. */
const bindsAtOnce = 256;

/** Starts the scheduler in this process. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { client, clock, random, log, record, metrics, plugins = defaultPlugins, name = "default-scheduler" } = options;
  const stopped = new AbortController();
  const { signal } = stopped;
  const snapshot = new Snapshot();
  const rotation = { next: 0 };
  let binding = 0;
  let failures = 0;
  /** Pods of which it is being written that they found no place. */
  let telling = 0;
  let turning = false;
  const seen = { nodes: Promise.withResolvers<void>(), pods: Promise.withResolvers<void>() };
  let open = false;

  const turn = (): void => {
    if (turning || !open || signal.aborted) return;
    turning = true;
    // After this turn of the event loop: what arrives together is placed together.
    queueMicrotask(() => {
      turning = false;
      let permitted: Promise<void> | undefined;
      while (binding < bindsAtOnce) {
        const next = queue.take();
        if (!next) return;
        permitted ??= options.fence?.() ?? Promise.resolve();
        place(next, permitted);
      }
    });
  };
  const queue = new SchedulingQueue(clock, plugins, turn, (plugin, { pod }, error) =>
    reportFailure(pods, pod, `the hint of plugin ${plugin.name} failed`, error),
  );

  /** A failing plugin costs the pod this attempt: as upstream it is tried again after a pause. */
  const tryToSchedule = (queued: Queued): Outcome => {
    try {
      return schedule(plugins, queued.info, snapshot.nodes, rotation, random);
    } catch (error) {
      const { namespace, name: podName } = queued.info.pod.metadata;
      log.error("a pod could not be scheduled", { pod: `${namespace}/${podName}`, error: messageOf(error) });
      return { node: undefined, reason: "SchedulerError", message: messageOf(error), rejectedBy: new Set() };
    }
  };

  const reportFailure = (kind: Kind, object: KubernetesObject, what: string, error: unknown): void => {
    const { namespace, name: objectName } = object.metadata;
    log.error(what, { kind: kind.kind, namespace, name: objectName, error: messageOf(error) });
    metrics?.panicked();
    record({ kind, object }, "Warning", "SchedulerError", `${what}: ${messageOf(error)}`);
  };

  /** What goes wrong with one object stays with it: the others are seen, queued and placed as before. */
  const contained = (kind: Kind, object: KubernetesObject, what: string, call: () => void): void => {
    try {
      call();
    } catch (error) {
      reportFailure(kind, object, what, error);
    }
  };

  const place = (queued: Queued, permitted: Promise<void>): void => {
    const outcome = tryToSchedule(queued);
    metrics?.attempted(outcome.node ? "scheduled" : outcome.reason === "SchedulerError" ? "error" : "unschedulable");
    if (!outcome.node) {
      // Where nothing can be bound nobody waits for the fence.
      permitted.catch(() => {});
      telling++;
      void unschedulable(queued, outcome).finally(() => {
        telling--;
      });
      return;
    }
    snapshot.assume(queued.info, outcome.node.name);
    binding++;
    void bind(queued, outcome.node.name, permitted).finally(() => {
      binding--;
      turn();
    });
  };

  const bind = async (queued: Queued, node: string, permitted: Promise<void>): Promise<void> => {
    const { pod } = queued.info;
    const { namespace, name: podName = "", uid } = pod.metadata;
    const body: Binding = {
      metadata: { namespace, name: podName, uid },
      target: { kind: nodes.kind, name: node },
    };
    try {
      await permitted;
      await client.act(pods, { namespace, name: podName }, "binding", body);
      queue.drop(queued.info.uid);
      record(
        { kind: pods, object: pod },
        "Normal",
        "Scheduled",
        `Successfully assigned ${namespace}/${podName} to ${node}`,
      );
    } catch (error) {
      snapshot.forget(queued.info.uid);
      if (isReason(error, "NotFound")) {
        queue.drop(queued.info.uid);
        return;
      }
      failures++;
      log.warn("a pod could not be bound", { pod: `${namespace}/${podName}`, node, error: messageOf(error) });
      queue.failed(queued, new Set());
    }
  };

  const unschedulable = async (queued: Queued, { reason, message, rejectedBy }: Failure): Promise<void> => {
    queue.failed(queued, rejectedBy);
    const { pod } = queued.info;
    record({ kind: pods, object: pod }, "Warning", "FailedScheduling", message);
    await markUnschedulable(pod, reason, message).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) log.warn("a pod's condition could not be written", { error: messageOf(error) });
    });
  };

  const markUnschedulable = async (pod: Pod, reason: string, message: string): Promise<void> => {
    const before = findCondition(pod.status?.conditions, "PodScheduled");
    const told = { type: "PodScheduled", status: "False", reason, message };
    if (before && deepEqual({ ...before, ...told }, before)) return;
    const generation =
      pod.metadata.generation === undefined ? {} : { observedGeneration: Number(pod.metadata.generation) };
    const condition = withTransitionTime(before, { ...told, ...generation }, clock.now());
    const { namespace, name: podName = "", uid } = pod.metadata;
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name: podName }, patch, { type: "strategic", subresource: "status" });
  };

  const podChanged = (type: "ADDED" | "MODIFIED" | "DELETED", pod: Pod, previous: Pod | undefined): void => {
    const uid = pod.metadata.uid ?? "";
    if (type === "DELETED" || hasEnded(pod)) {
      queue.drop(uid);
      snapshot.forget(uid);
      if (pod.spec?.nodeName) queue.event({ type: "pod-removed", pod });
      return;
    }
    if (pod.spec?.nodeName) {
      queue.drop(uid);
      snapshot.setPod(pod);
      if (previous?.spec?.nodeName && !deepEqual(previous.metadata.labels, pod.metadata.labels))
        queue.event({ type: "pod-updated", pod });
      return;
    }
    if (pod.metadata.deletionTimestamp) {
      // Finalizers may keep it: a place it needs no longer.
      queue.drop(uid);
      return;
    }
    if ((pod.spec?.schedulerName ?? name) !== name) return;
    if (plugins.some((plugin) => plugin.preEnqueue?.(pod) !== undefined)) return;
    queue.put(podInfo(pod));
  };

  const nodeChanged = (type: "ADDED" | "MODIFIED" | "DELETED", node: Node, previous: Node | undefined): void => {
    if (type === "DELETED") {
      snapshot.deleteNode(node.metadata.name ?? "");
      return;
    }
    snapshot.setNode(node);
    if (type === "ADDED" || !previous) queue.event({ type: "node-added", node });
    else if (nodeDiffers(previous, node)) queue.event({ type: "node-updated", node, previous });
  };

  const follow = async (): Promise<void> => {
    const told = { client, clock, log, signal };
    await Promise.all([
      followKind<Node>({
        ...told,
        kind: nodes,
        changed: ({ type, object, previous }) =>
          contained(nodes, object, "a node could not be taken in", () => nodeChanged(type, object, previous)),
        whole: seen.nodes.resolve,
      }).finally(seen.nodes.resolve),
      // Pods count on nodes: these are seen first, or nothing would fit at the start.
      seen.nodes.promise
        .then(() =>
          followKind<Pod>({
            ...told,
            kind: pods,
            changed: ({ type, object, previous }) =>
              contained(pods, object, "a pod could not be taken in", () => podChanged(type, object, previous)),
            whole: seen.pods.resolve,
          }),
        )
        .finally(seen.pods.resolve),
    ]);
  };

  const following = follow();
  const ready = seen.pods.promise.then(() => {
    open = true;
    turn();
  });
  return {
    ready,
    get busy() {
      return queue.busy + binding + telling;
    },
    get failures() {
      return failures;
    },
    async stop() {
      stopped.abort();
      queue.close();
      await following;
    },
  };
}
