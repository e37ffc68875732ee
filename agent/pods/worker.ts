import type { Sandbox } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { ignoreReasons, parseTime, type Timer } from "#base";
import { isOver } from "#kubelet";
import { rejection } from "./admission.ts";
import type { Allocations } from "./allocations.ts";
import { healthOf } from "./container-health.ts";
import { ContainerTermination } from "./container-termination.ts";
import { fieldPathOf, type PodEviction, type PodsContext } from "./context.ts";
import { reportFault } from "./faults.ts";
import type { Images } from "./images.ts";
import { KeptView } from "./kept-view.ts";
import { type ContainerHealth, liveIn, newEphemeral, planFor, type View, viewOf } from "./plan.ts";
import { cleanUpPod } from "./pod-cleanup.ts";
import { PodResize } from "./pod-resize.ts";
import { PodTermination } from "./pod-termination.ts";
import { Prober } from "./prober.ts";
import { RestartAll, startsAllAgain } from "./restart-all.ts";
import { SandboxCreator } from "./sandbox-creator.ts";
import { Starter } from "./starter.ts";
import { StatusReporter } from "./status-reporter.ts";
import { equalExceptStatus, type StatusWriter } from "./status-writer.ts";
import { VolumeMounter } from "./volume-mounter.ts";

const nextOf = (...times: (number | undefined)[]): number => Math.min(...times.filter((time) => time !== undefined));

const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 60_000;

export interface PodWorkerOptions {
  context: PodsContext;
  images: Images;
  writer: StatusWriter;
  allocations: Allocations;
  pod: Pod;
  /** Called when everything of the pod has been removed. */
  gone: () => void;
}

/** Drives one pod to its desired state, one step after another, until it is deleted. */
export class PodWorker {
  readonly #context: PodsContext;
  readonly #images: Images;
  readonly #writer: StatusWriter;
  readonly #prober: Prober;
  readonly #starter: Starter;
  readonly #allocations: Allocations;
  readonly #resize: PodResize;
  readonly #restartAll: RestartAll;
  readonly #volumes: VolumeMounter;
  readonly #sandboxes: SandboxCreator;
  readonly #reporter: StatusReporter;
  readonly #termination: PodTermination;
  readonly #startTime: number;
  readonly #kept: KeptView;
  readonly #gone: () => void;
  readonly #ended = Promise.withResolvers<void>();
  /** As it was set. */
  #desired: Pod;
  /** With the resources that it has been granted. */
  #pod: Pod;
  #adopted = false;
  /** The pod no longer exists in the API: it ends without a status. */
  #removed = false;
  #failure: { reason: string; message: string } | undefined;
  #eviction: PodEviction | undefined;
  readonly #settled = Promise.withResolvers<void>();
  /** The pod was rejected before its start: it has no containers to report. */
  #rejected = false;
  #retryDelay = firstRetryMilliseconds;
  #dirty = false;
  #running = false;
  #stopped = false;
  #timer: Timer | undefined;
  #abort = new AbortController();

  constructor({ context, images, writer, allocations, pod, gone }: PodWorkerOptions) {
    this.#context = context;
    this.#images = images;
    this.#writer = writer;
    this.#allocations = allocations;
    this.#desired = pod;
    this.#pod = pod;
    this.#gone = gone;
    this.#kept = new KeptView(context.clock);
    this.#prober = new Prober(context, () => this.wake());
    this.#restartAll = new RestartAll(context, pod);
    this.#starter = new Starter(context, images, this.#restartAll);
    this.#resize = new PodResize(context, allocations, pod);
    this.#volumes = new VolumeMounter({ context, wake: () => this.wake() });
    this.#sandboxes = new SandboxCreator(context);
    this.#termination = new PodTermination(context, this.#prober, () => this.wake());
    const known = pod.status?.startTime;
    this.#startTime = known === undefined ? context.clock.now() : parseTime(known);
    this.#reporter = new StatusReporter({
      ...{ context, writer, starter: this.#starter, prober: this.#prober, startTime: this.#startTime },
      ...{ resize: this.#resize, restartAll: this.#restartAll },
    });
    if (pod.status?.phase === "Failed" && pod.status.reason) {
      this.#failure = { reason: pod.status.reason, message: pod.status.message ?? "" };
      this.#rejected = !pod.status.containerStatuses?.length;
    }
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? "";
  }

  /** The pod as last set, with the resources that it has been granted. */
  get pod(): Pod {
    return this.#pod;
  }

  get busy(): boolean {
    return this.#running;
  }

  /** Resolves when everything of the pod has been removed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  update(pod: Pod): void {
    const isDeleted =
      pod.metadata.deletionTimestamp !== undefined && this.#pod.metadata.deletionTimestamp === undefined;
    const before = this.#desired;
    this.#desired = pod;
    this.#pod = this.#allocations.allocated(pod);
    // A write of our own status arrives as an update; it changes nothing.
    if (equalExceptStatus(before, pod)) {
      this.#writer.reconcile(pod);
      return;
    }
    // Cancels starts of containers.
    if (isDeleted) this.#abort.abort();
    this.wake();
  }

  /** Ends the pod as Failed. Resolves once its containers have ended. */
  evict(eviction: PodEviction): Promise<void> {
    if (!this.#eviction && !this.#failure) {
      this.#eviction = eviction;
      const { reason, message } = eviction;
      this.#failure = { reason: reason ?? "Evicted", message };
      if (reason === undefined) this.#context.record(this.#pod, "Warning", "Evicted", message);
      this.#abort.abort();
      this.wake();
    }
    return this.#settled.promise;
  }

  remove(): void {
    this.#removed = true;
    this.#abort.abort();
    this.wake();
  }

  wake(): void {
    this.#kept.drop();
    this.#awake();
  }

  #awake(): void {
    this.#dirty = true;
    if (!this.#running && !this.#stopped) void this.#loop().finally(() => this.#rest());
  }

  /** Stops the worker. Containers keep running. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#prober.stop();
    this.#volumes.stop();
    this.#abort.abort();
  }

  async #loop(): Promise<void> {
    this.#running = true;
    while (this.#dirty && !this.#stopped) {
      this.#dirty = false;
      this.#timer?.cancel();
      try {
        const next = await this.#sync();
        this.#retryDelay = firstRetryMilliseconds;
        this.#wakeAt(next);
      } catch (error) {
        if (this.#stopped) break;
        this.#kept.drop();
        this.#wakeAt(this.#context.clock.now() + this.#retryDelay);
        this.#retryDelay = Math.min(this.#retryDelay * 2, lastRetryMilliseconds);
        reportFault(this.#context, this.#pod, error);
      }
    }
  }

  #rest(): void {
    this.#running = false;
    if (this.#dirty && !this.#stopped) this.#awake();
  }

  #wakeAt(time: number | undefined): void {
    if (time === undefined || this.#stopped) return;
    const { clock } = this.#context;
    this.#timer = clock.timer(Math.max(0, Math.min(time - clock.now(), 2 ** 31 - 1)), () => this.#awake());
  }

  async #view(): Promise<View> {
    return viewOf(await this.#context.runtime.pods.list({ uid: this.uid }));
  }

  /** One step. Resolves with the latest time of the next one, in milliseconds since the epoch. */
  async #sync(): Promise<number | undefined> {
    this.#abort = new AbortController();
    await this.#allocations.load();
    this.#pod = this.#allocations.allocated(this.#desired);
    let view = this.#kept.view ?? (await this.#view());
    this.#adopt(view);
    if (this.#removed || this.#pod.metadata.deletionTimestamp !== undefined) return this.#end(view);
    if (isOver(this.#pod.status?.phase) && !this.#failure) return this.#settle(view);
    const deadline = this.#deadline();
    if (!this.#failure && deadline !== undefined && this.#context.clock.now() >= deadline) {
      this.#failure = {
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline",
      };
      this.#context.record(this.#pod, "Normal", "DeadlineExceeded", this.#failure.message);
    }
    if (!this.#failure) await this.#admit(view);
    if (this.#failure) return this.#settle(view);
    const pod = await this.#resize.allocate(this.#desired);
    this.#pod = pod;
    if (startsAllAgain(pod, view)) {
      await this.#reportStatus(view, false);
      await this.#restartAll.remove(pod, view);
      view = await this.#view();
    }
    this.#resume(view);
    let plan = planFor(pod, view, this.#health());
    if (plan.finished) return this.#settle(view);
    await this.#reportStatus(view, false);
    if (!(await this.#volumes.follow(pod))) return nextOf(deadline, this.#volumes.due);
    if (plan.sandbox) {
      const created = await this.#sandboxes.create(pod, view);
      if (!created) return nextOf(deadline, this.#sandboxes.due);
      view = view.current ? await this.#view() : viewOf([created]);
      await this.#reportStatus(view, false);
      plan = planFor(pod, view, this.#health());
    }
    for (const { container, message, graceSeconds } of plan.kill) {
      await this.#kill(container, message, graceSeconds);
    }
    if (plan.kill.length > 0) {
      // What replaces them is started before a status says that they have ended.
      view = await this.#view();
      plan.start = planFor(pod, view, this.#health()).start;
    }
    const starting = [...plan.start, ...newEphemeral(pod, view)];
    if (starting.length > 0) await this.#resize.resizer.grow(pod);
    await this.#start(starting, view);
    // What others have changed meanwhile wakes the worker.
    const isQuiet = starting.length + plan.kill.length === 0;
    if (!isQuiet) view = await this.#view();
    this.#follow(view);
    await this.#resize.apply(pod, liveIn(view, pod));
    await this.#reportStatus(view, false);
    if (
      plan.kill.length > 0 ||
      planFor(pod, view, this.#health()).start.some(({ name }) => !this.#starter.waiting(name))
    ) {
      this.#dirty = true;
    }
    if (isQuiet && !plan.sandbox && !this.#dirty) this.#kept.keep(view);
    return nextOf(deadline, this.#starter.retryAt, this.#volumes.due, this.#resize.due);
  }

  /** A pod without a sandbox may be rejected. */
  async #admit(view: View): Promise<void> {
    if (view.sandboxes.length > 0) return this.#allocations.adopt(this.#desired);
    const refusal =
      this.#context.rejectUnderPressure?.(this.#pod) ??
      rejection(this.#pod, this.#context.node) ??
      (await this.#allocations.admit(this.#desired));
    if (!refusal) return;
    this.#context.record(this.#pod, "Warning", refusal.reason, refusal.message);
    this.#failure = { reason: refusal.reason, message: `Pod was rejected: ${refusal.message}` };
    this.#rejected = true;
  }

  /** Adopts containers that run before the worker has started any: an earlier agent has started them. */
  #adopt(view: View): void {
    if (this.#adopted) return;
    this.#adopted = true;
    this.#prober.adopt(this.#pod, liveIn(view, this.#pod));
  }

  /** Probes running containers. Their hooks have ended, since each start waits for its hook. */
  #resume(view: View): void {
    for (const { running } of liveIn(view, this.#pod)) this.#prober.begin(running.id);
    this.#follow(view);
  }

  #follow(view: View): void {
    const ip = this.#pod.spec?.hostNetwork ? this.#context.node.ips[0] : view.current?.ips[0];
    this.#prober.follow(this.#pod, ip ?? "", liveIn(view, this.#pod));
  }

  #health(): ContainerHealth {
    return healthOf(this.#pod, this.#prober, this.#resize.resizer);
  }

  #deadline(): number | undefined {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    return seconds === undefined ? undefined : this.#startTime + Number(seconds) * 1000;
  }

  async #start(containers: Container[], view: View): Promise<void> {
    const sandbox: Sandbox | undefined = view.current;
    const { volumes } = this.#volumes;
    if (!sandbox || !volumes) return;
    for (const [index, container] of containers.entries()) {
      const { signal } = this.#abort;
      if (signal.aborted) return;
      const id = await this.#starter.start(container, { pod: this.#pod, view, sandbox, volumes, signal });
      if (id !== undefined) this.#prober.begin(id);
      if (index === containers.length - 1) continue;
      // The pull for the next container may take minutes: those that run are probed and reported first.
      const now = await this.#view();
      this.#follow(now);
      await this.#reportStatus(now, false);
    }
  }

  async #kill(
    { id, name }: { id: string; name: string },
    message: string,
    graceSeconds: number | undefined,
  ): Promise<void> {
    const grace = graceSeconds ?? Number(this.#pod.spec?.terminationGracePeriodSeconds ?? 30);
    this.#context.record(this.#pod, "Normal", "Killing", message, fieldPathOf(this.#pod, name));
    const options = { context: this.#context, pod: this.#pod, graceSeconds: grace, only: new Set([id]), quiet: true };
    await new ContainerTermination(options, await this.#view()).done;
    this.#starter.clear(name);
  }

  /** The pod has ended or has failed: ends its sandboxes, which stay listed, and releases its volumes (SyncTerminatedPod). */
  async #settle(view: View): Promise<undefined> {
    const runs = view.sandboxes.some(({ containers }) => containers.some(({ state }) => state === "running"));
    const grace = this.#eviction?.graceSeconds ?? Number(this.#pod.spec?.terminationGracePeriodSeconds ?? 30);
    if (runs && !this.#termination.hasEnded(this.#pod, view, grace)) {
      await this.#reportStatus(view, false);
      return;
    }
    this.#prober.stop();
    const after = runs ? await this.#view() : view;
    await this.#reportStatus(after, true);
    this.#settled.resolve();
    const up = after.sandboxes.filter(({ state }) => state === "ready");
    for (const sandbox of up) await this.#context.runtime.pods.stopSandbox(sandbox.id);
    if (up.length > 0) await this.#reportStatus(await this.#view(), true);
    await this.#volumes.release(this.uid);
  }

  /** The pod is deleted: removes everything, the API's object last. */
  async #end(view: View): Promise<undefined> {
    const { runtime, api } = this.#context;
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    const requested = Number(deletionGracePeriodSeconds ?? this.#pod.spec?.terminationGracePeriodSeconds ?? 30);
    if (!this.#termination.hasEnded(this.#pod, view, this.#removed ? Math.max(requested, 1) : requested)) {
      this.#follow(view);
      await this.#reportStatus(view, false);
      return;
    }
    this.#prober.stop();
    // A pod whose status cannot be computed must still be deleted.
    await this.#reportStatus(await this.#view(), true).catch((error) => reportFault(this.#context, this.#pod, error));
    await this.#writer.flush(this.uid);
    for (const sandbox of view.sandboxes) await runtime.pods.removeSandbox(sandbox.id);
    await this.#volumes.unmount(this.uid);
    await cleanUpPod(this.uid, this.#context.node);
    // A conflict means that another pod has the name.
    if (!this.#removed) await ignoreReasons(["NotFound", "Conflict"], api.remove(this.#pod));
    this.#images.forget(this.uid);
    this.#writer.forget(this.uid);
    this.stop();
    this.#gone();
    this.#allocations.forget(this.uid);
    this.#allocations.retry();
    this.#settled.resolve();
    this.#ended.resolve();
  }

  async #reportStatus(view: View, terminal: boolean): Promise<void> {
    if (this.#removed) return;
    const disruption = this.#eviction?.isDisruption
      ? { disruption: this.#eviction.disruption ?? this.#eviction.message }
      : {};
    const end = { failure: this.#failure, isRejected: this.#rejected, ...disruption };
    await this.#reporter.report(this.#pod, view, { ...end, terminal });
  }
}
