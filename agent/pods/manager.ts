import type { Pod } from "#api";
import { messageOf, sleep } from "#base";
import { isOver } from "#kubelet";
import { capacityOf } from "./allocation.ts";
import { Allocations } from "./allocations.ts";
import type { PodEviction, PodsContext } from "./context.ts";
import { reportFault, withoutNulls } from "./faults.ts";
import { Images } from "./images.ts";
import { StatusWriter } from "./status-writer.ts";
import { removeStrays } from "./strays.ts";
import { PodWorker } from "./worker.ts";

const retryMilliseconds = 1000;
/** How often the node looks for pods that are not wanted: a sandbox may become ready that a killed agent requested. */
const strayMilliseconds = 60_000;

/** The pods of one node: one worker for each, which is woken by changes of its pod and of the runtime. */
export class PodManager {
  readonly #context: PodsContext;
  readonly #workers = new Map<string, PodWorker>();
  readonly #images: Images;
  readonly #writer: StatusWriter;
  readonly #allocations: Allocations;
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;

  constructor(context: PodsContext) {
    this.#context = context;
    this.#images = new Images(context);
    this.#writer = new StatusWriter(context.api, context.clock, context.log);
    this.#allocations = new Allocations({
      folderOf: (uid) => context.volumes.podFolder(uid),
      list: () => context.volumes.list(),
      capacity: capacityOf(context.node.allocatable),
      active: () => this.list().filter(({ status }) => !isOver(status?.phase)),
      granted: (uid) => this.#workers.get(uid)?.wake(),
      preempt: (uid) => this.#preempt(uid),
      clock: context.clock,
      log: context.log,
    });
    this.#watching = this.#watchRuntime();
  }

  /** Creates or updates the pod. A pod with a deletion timestamp is ended. */
  set(pod: Pod): void {
    try {
      this.#set(withoutNulls(pod));
    } catch (error) {
      reportFault(this.#context, pod, error);
    }
  }

  /** The pod is no longer wanted. Resolves when nothing of it is left; never while the node stops first. */
  delete(uid: string): Promise<void> {
    const worker = this.#workers.get(uid);
    if (!worker) return Promise.resolve();
    worker.remove();
    return worker.ended;
  }

  /** Ends a pod as Failed with the reason Evicted. Resolves once its containers have ended. */
  async evict(uid: string, eviction: PodEviction): Promise<void> {
    await this.#workers.get(uid)?.evict(eviction);
  }

  /** Ends a pod for a critical one. Reason, texts and condition are upstream's. */
  async #preempt(uid: string): Promise<void> {
    const worker = this.#workers.get(uid);
    if (!worker) return;
    const [reason, message] = ["Preempting", "Preempted in order to admit critical pod"];
    this.#context.record(worker.pod, "Warning", reason, message);
    const graceSeconds = Number(worker.pod.spec?.terminationGracePeriodSeconds ?? 30);
    const disruption = "Pod was preempted by Kubelet to accommodate a critical pod.";
    await worker.evict({ reason, message, graceSeconds, isDisruption: true, disruption });
  }

  /** All pods of the node have been set: every other pod in the runtime is ended, from now on. */
  synced(): void {
    void this.#removeStrays();
  }

  /** Pods as last set, those that are ending too. */
  list(): Pod[] {
    return [...this.#workers.values()].map(({ pod }) => pod);
  }

  /** The pod with the newest status that this node knows, which the API may not have yet. */
  find(namespace: string, name: string): Pod | undefined {
    // Of two pods of one name the older one is ending.
    const pod = this.list().findLast(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    const status = pod && this.#writer.latest(pod.metadata.uid ?? "");
    return pod && status ? { ...pod, status: { ...pod.status, ...status } } : pod;
  }

  /** The number of pods that are being processed and of statuses that are still to be written. */
  get busy(): number {
    return [...this.#workers.values()].filter((worker) => worker.busy).length + this.#writer.busy;
  }

  /** Stops the workers. Containers run on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const worker of this.#workers.values()) worker.stop();
    this.#writer.stop();
    await this.#watching;
  }

  #set(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const present = this.#workers.get(uid);
    if (present) {
      present.update(pod);
      return;
    }
    const worker = new PodWorker({
      context: this.#context,
      images: this.#images,
      writer: this.#writer,
      allocations: this.#allocations,
      pod,
      gone: () => this.#workers.delete(uid),
    });
    this.#workers.set(uid, worker);
    worker.wake();
  }

  async #watchRuntime(): Promise<void> {
    const { runtime, clock, log } = this.#context;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for await (const uid of runtime.changes(signal)) this.#workers.get(uid)?.wake();
      } catch (error) {
        log.warn("the runtime's changes could not be followed", { error: messageOf(error) });
        await sleep(clock, retryMilliseconds, signal);
      }
    }
  }

  async #removeStrays(): Promise<void> {
    const { clock, log } = this.#context;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let pause = retryMilliseconds;
      try {
        if (await removeStrays(this.#context, (uid) => this.#workers.has(uid))) pause = strayMilliseconds;
      } catch (error) {
        log.warn("pods that are not wanted any more could not be listed", { error: messageOf(error) });
      }
      await sleep(clock, pause, signal);
    }
  }
}
