import type { Sandbox } from "#agent/runtime";
import type { Pod } from "#api";
import { messageOf, sleep } from "#base";
import type { PodsContext } from "./context.ts";
import { reportFault, withoutNulls } from "./faults.ts";
import { Images } from "./images.ts";
import { graceAnnotation } from "./sandbox-spec.ts";
import { StatusWriter } from "./status-writer.ts";
import { removeTraces } from "./traces.ts";
import { PodWorker } from "./worker.ts";

/** The pods of one node. */
export interface PodManager {
  /** The pod is to run here, or to end where it says so; calling again tells of a change. */
  set(pod: Pod): void;
  /** The pod is not there any more. */
  delete(uid: string): void;
  /** Everything that is to run here has been told: what runs beside it ends. */
  synced(): void;
  /** Pods as last told, those that are ending too. */
  list(): Pod[];
  /** With the newest status that this node knows, which the API may not have yet. */
  find(namespace: string, name: string): Pod | undefined;
  /** Pods that are being worked on right now, and statuses that are still to be written. */
  readonly busy: number;
  /** Lets go; containers run on. */
  stop(): Promise<void>;
}

const retryMilliseconds = 1000;

/** One worker per pod; each is woken by changes of its pod and of the runtime. */
export function podManager(context: PodsContext): PodManager {
  const { runtime, clock, log } = context;
  const workers = new Map<string, PodWorker>();
  const images = new Images(context);
  const writer = new StatusWriter(context.api, clock, log);
  const stopping = new AbortController();

  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        for await (const uid of runtime.changes(stopping.signal)) workers.get(uid)?.wake();
      } catch (error) {
        log.warn("the runtime's changes could not be followed", { error: messageOf(error) });
        await sleep(clock, retryMilliseconds, stopping.signal);
      }
    }
  };
  const watching = watch();

  /** Ends a pod that the API does not know any more, by what the runtime knows of it. */
  const endStray = async ({ id, name, namespace, annotations, containers }: Sandbox): Promise<void> => {
    log.info("a pod that is not wanted any more is ended", { pod: `${namespace}/${name}` });
    const asked = Number(annotations[graceAnnotation] ?? 30);
    const grace = Number.isFinite(asked) ? asked : 30;
    const running = containers.filter(({ state }) => state === "running");
    await Promise.all(running.map((container) => runtime.pods.stopContainer(container.id, grace)));
    await runtime.pods.removeSandbox(id);
  };
  /** Says whether nothing is left. What fails costs the others nothing. */
  const removeStrays = async (): Promise<boolean> => {
    const strays = (await runtime.pods.list()).filter(({ uid }) => !workers.has(uid));
    const leftovers = (await context.volumes.list()).filter((uid) => !workers.has(uid));
    const left = new Set<string>();
    const attempt = async (uid: string, act: () => Promise<void>): Promise<void> => {
      try {
        await act();
      } catch (error) {
        left.add(uid);
        log.warn("a pod that is not wanted any more could not be ended", { uid, error: messageOf(error) });
      }
    };
    await Promise.all(strays.map((stray) => attempt(stray.uid, () => endStray(stray))));
    for (const uid of new Set([...strays.map((stray) => stray.uid), ...leftovers])) {
      if (workers.has(uid) || left.has(uid)) continue;
      await attempt(uid, async () => {
        await context.volumes.unmount(uid);
        await removeTraces(uid, context.node);
      });
    }
    return left.size === 0;
  };
  const clean = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        if (await removeStrays()) return;
      } catch (error) {
        log.warn("pods that are not wanted any more could not be listed", { error: messageOf(error) });
      }
      await sleep(clock, retryMilliseconds, stopping.signal);
    }
  };

  const take = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? "";
    const worker = workers.get(uid);
    if (worker) {
      worker.update(pod);
      return;
    }
    const made = new PodWorker(context, images, writer, pod, (gone) => workers.delete(gone));
    workers.set(uid, made);
    made.wake();
  };

  return {
    set: (pod) => {
      try {
        take(withoutNulls(pod));
      } catch (error) {
        reportFault(context, pod, error);
      }
    },
    delete: (uid) => workers.get(uid)?.remove(),
    synced: () => void clean(),
    list: () => [...workers.values()].map(({ pod }) => pod),
    find: (namespace, name) => {
      // Of two pods of one name the older one is ending.
      const pod = [...workers.values()]
        .map((worker) => worker.pod)
        .findLast(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
      const status = pod && writer.latest(pod.metadata.uid ?? "");
      return pod && status ? { ...pod, status: { ...pod.status, ...status } } : pod;
    },
    get busy() {
      return [...workers.values()].filter((worker) => worker.busy).length + writer.busy;
    },
    stop: async () => {
      stopping.abort();
      for (const worker of workers.values()) worker.stop();
      writer.stop();
      await watching;
    },
  };
}
