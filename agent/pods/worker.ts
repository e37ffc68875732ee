import type { Sandbox } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { isReason, parseTime, type Timer } from "#base";
import { isOver } from "#kubelet";
import { rejection } from "./admission.ts";
import { hashAnnotation } from "./container-spec.ts";
import { ContainerTermination } from "./container-termination.ts";
import { fieldPathOf, type PodsContext } from "./context.ts";
import { reportFault } from "./faults.ts";
import type { Images } from "./images.ts";
import { Mounting } from "./mounting.ts";
import { planFor, type View, viewOf } from "./plan.ts";
import { cleanUpPod } from "./pod-cleanup.ts";
import { condemnation, Probing } from "./probing.ts";
import { Resizing } from "./resizing.ts";
import { containerHash } from "./sandbox-spec.ts";
import { Sandboxing } from "./sandboxing.ts";
import { Starter } from "./starting.ts";
import { type Memory, rejectedStatus, statusOf } from "./status.ts";
import { asksTheSame, type StatusWriter } from "./status-writer.ts";
import { readTerminationMessage } from "./termination-message.ts";

const nextOf = (...times: (number | undefined)[]): number => Math.min(...times.filter((time) => time !== undefined));

const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 60_000;

export interface PodWorkerOptions {
  context: PodsContext;
  images: Images;
  writer: StatusWriter;
  pod: Pod;
  /** Called when nothing is left of the pod. */
  gone: () => void;
}

/** Drives one pod to what is wanted, one step after another, until it is gone. */
export class PodWorker {
  readonly #context: PodsContext;
  readonly #images: Images;
  readonly #writer: StatusWriter;
  readonly #probing: Probing;
  readonly #starter: Starter;
  readonly #resizing: Resizing;
  readonly #mounting: Mounting;
  readonly #sandboxing: Sandboxing;
  readonly #terminationMessages = new Map<string, string>();
  readonly #startTime: number;
  readonly #gone: () => void;
  #pod: Pod;
  #adopted = false;
  /** The API no longer has it: it ends, and nobody needs to be told. */
  #removed = false;
  #failure: { reason: string; message: string } | undefined;
  /** It was refused before anything of it ran: it has no containers to report. */
  #rejected = false;
  #termination: ContainerTermination | undefined;
  #grace = Number.POSITIVE_INFINITY;
  #retryDelay = firstRetryMilliseconds;
  #dirty = false;
  #running = false;
  #stopped = false;
  #timer: Timer | undefined;
  #abort = new AbortController();

  constructor({ context, images, writer, pod, gone }: PodWorkerOptions) {
    this.#context = context;
    this.#images = images;
    this.#writer = writer;
    this.#pod = pod;
    this.#gone = gone;
    this.#probing = new Probing(context, () => this.wake());
    this.#starter = new Starter(context, images);
    this.#resizing = new Resizing(context.runtime, context.log, context.node.memoryBytes);
    this.#mounting = new Mounting(context);
    this.#sandboxing = new Sandboxing(context);
    const known = pod.status?.startTime;
    this.#startTime = known === undefined ? context.clock.now() : parseTime(known);
    if (pod.status?.phase === "Failed" && pod.status.reason) {
      this.#failure = { reason: pod.status.reason, message: pod.status.message ?? "" };
      this.#rejected = !pod.status.containerStatuses?.length;
    }
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? "";
  }

  /** The pod as last told. */
  get pod(): Pod {
    return this.#pod;
  }

  get busy(): boolean {
    return this.#running;
  }

  update(pod: Pod): void {
    const ends = pod.metadata.deletionTimestamp !== undefined && this.#pod.metadata.deletionTimestamp === undefined;
    const before = this.#pod;
    this.#pod = pod;
    // Our own status comes back as an update: there is nothing to do about it.
    if (asksTheSame(before, pod)) {
      this.#writer.reconcile(pod);
      return;
    }
    // Whatever is being started is not wanted any more.
    if (ends) this.#abort.abort();
    this.wake();
  }

  remove(): void {
    this.#removed = true;
    this.#abort.abort();
    this.wake();
  }

  wake(): void {
    this.#dirty = true;
    if (!this.#running && !this.#stopped) void this.#loop().finally(() => this.#rest());
  }

  /** Lets go; containers run on. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#probing.stop();
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
        this.#wakeAt(this.#context.clock.now() + this.#retryDelay);
        this.#retryDelay = Math.min(this.#retryDelay * 2, lastRetryMilliseconds);
        reportFault(this.#context, this.#pod, error);
      }
    }
  }

  #rest(): void {
    this.#running = false;
    if (this.#dirty && !this.#stopped) this.wake();
  }

  #wakeAt(time: number | undefined): void {
    if (time === undefined || this.#stopped) return;
    const { clock } = this.#context;
    this.#timer = clock.timer(Math.max(0, Math.min(time - clock.now(), 2 ** 31 - 1)), () => this.wake());
  }

  async #view(): Promise<View> {
    return viewOf(await this.#context.runtime.pods.list({ uid: this.uid }));
  }

  /** One step. Answers when the next one is due even if nothing happens. */
  async #sync(): Promise<number | undefined> {
    const pod = this.#pod;
    this.#abort = new AbortController();
    let view = await this.#view();
    this.#adopt(view);
    if (this.#removed || pod.metadata.deletionTimestamp !== undefined) return this.#end(view);
    if (isOver(pod.status?.phase) && !this.#failure) return this.#settle(view);
    const deadline = this.#deadline();
    if (!this.#failure && deadline !== undefined && this.#context.clock.now() >= deadline) {
      this.#failure = {
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline",
      };
      this.#context.record(pod, "Normal", "DeadlineExceeded", this.#failure.message);
    }
    if (!this.#failure && view.sandboxes.length === 0) this.#admit();
    if (this.#failure) return this.#settle(view);
    this.#resume(view);
    let plan = planFor(pod, view, this.#judge());
    if (plan.finished) return this.#settle(view);
    await this.#tell(view, false);
    if (!(await this.#mounting.follow(pod))) return nextOf(deadline, this.#mounting.due);
    if (plan.sandbox) {
      if (!(await this.#sandboxing.make(pod, view))) return nextOf(deadline, this.#sandboxing.due);
      view = await this.#view();
      await this.#tell(view, false);
      plan = planFor(pod, view, this.#judge());
    }
    for (const { container, message, graceSeconds } of plan.kill) {
      await this.#kill(container.id, container.name, message, graceSeconds);
    }
    await this.#start([...plan.start, ...this.#ephemeral(view)], view);
    view = await this.#view();
    this.#follow(view);
    await this.#resizing.follow(pod, this.#live(view));
    await this.#tell(view, false);
    if (
      plan.kill.length > 0 ||
      planFor(pod, view, this.#judge()).start.some(({ name }) => !this.#starter.waiting(name))
    ) {
      this.#dirty = true;
    }
    return nextOf(deadline, this.#starter.retryAt, this.#mounting.due);
  }

  /** A pod of which nothing runs yet may be refused. */
  #admit(): void {
    const refused = rejection(this.#pod);
    if (!refused) return;
    this.#context.record(this.#pod, "Warning", refused.reason, refused.message);
    this.#failure = { reason: refused.reason, message: `Pod was rejected: ${refused.message}` };
    this.#rejected = true;
  }

  /** What runs before this worker has started anything was started by an earlier process: its hooks are over. */
  #adopt(view: View): void {
    if (this.#adopted) return;
    this.#adopted = true;
    this.#probing.adopt(this.#pod, this.#live(view));
  }

  /** What runs is probed; it has no hook under way, since starts are waited for. */
  #resume(view: View): void {
    for (const { running } of this.#live(view)) this.#probing.begin(running.id);
    this.#follow(view);
  }

  #live(view: View): { spec: Container; running: NonNullable<ReturnType<View["now"]>> }[] {
    const { initContainers = [], containers = [] } = this.#pod.spec ?? {};
    return [...initContainers, ...containers].flatMap((spec) => {
      const running = view.now(spec.name);
      return running?.state === "running" ? [{ spec, running }] : [];
    });
  }

  #follow(view: View): void {
    const ip = this.#pod.spec?.hostNetwork ? this.#context.node.ips[0] : view.current?.ips[0];
    this.#probing.follow(this.#pod, ip ?? "", this.#live(view));
  }

  #judge(): Parameters<typeof planFor>[2] {
    return {
      started: (container, spec) => this.#probing.started(container, spec),
      condemned: (container, spec) => {
        const type = this.#probing.failed(container);
        if (type) {
          const probe = type === "Startup" ? spec.startupProbe : spec.livenessProbe;
          const grace = probe?.terminationGracePeriodSeconds;
          const message = condemnation(this.#pod, spec, container, type);
          return { message, ...(grace === undefined ? {} : { graceSeconds: Number(grace) }) };
        }
        if (this.#resizing.needsRestart(this.#pod, spec, container)) {
          return { message: `Container ${spec.name} resize requires restart` };
        }
        const hash = container.annotations[hashAnnotation];
        if (hash === undefined || hash === containerHash(spec)) return undefined;
        return { message: `Container ${spec.name} definition changed, will be restarted` };
      },
    };
  }

  #deadline(): number | undefined {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    return seconds === undefined ? undefined : this.#startTime + Number(seconds) * 1000;
  }

  async #start(containers: Container[], view: View): Promise<void> {
    const sandbox: Sandbox | undefined = view.current;
    const { volumes } = this.#mounting;
    if (!sandbox || !volumes) return;
    for (const [index, container] of containers.entries()) {
      const { signal } = this.#abort;
      if (signal.aborted) return;
      const id = await this.#starter.start(container, { pod: this.#pod, view, sandbox, volumes, signal });
      if (id !== undefined) this.#probing.begin(id);
      if (index === containers.length - 1) continue;
      // The next one may be pulled for minutes: what runs is probed and reported before that.
      const now = await this.#view();
      this.#follow(now);
      await this.#tell(now, false);
    }
  }

  /** Ephemeral containers are started once and never again. */
  #ephemeral(view: View): Container[] {
    const all = (this.#pod.spec?.ephemeralContainers ?? []) as Container[];
    return all.filter(({ name }) => view.of(name).length === 0);
  }

  async #kill(id: string, name: string, message: string, graceSeconds: number | undefined): Promise<void> {
    const grace = graceSeconds ?? Number(this.#pod.spec?.terminationGracePeriodSeconds ?? 30);
    this.#context.record(this.#pod, "Normal", "Killing", message, fieldPathOf(this.#pod, name));
    const options = { context: this.#context, pod: this.#pod, graceSeconds: grace, only: new Set([id]), quiet: true };
    await new ContainerTermination(options, await this.#view()).done;
    this.#starter.clear(name);
  }

  /** Containers are ended within the grace; true once that is done. Until then the worker is woken when it is. */
  #hasEnded(view: View, graceSeconds: number): boolean {
    this.#probing.stopRestarting();
    if (!this.#termination) {
      this.#termination = new ContainerTermination({ context: this.#context, pod: this.#pod, graceSeconds }, view);
      this.#termination.done.catch(() => {}).finally(() => this.wake());
    } else if (graceSeconds < this.#grace) this.#termination.shorten(graceSeconds);
    this.#grace = Math.min(this.#grace, graceSeconds);
    const { outcome } = this.#termination;
    if (outcome instanceof Error) {
      this.#termination = undefined;
      throw outcome;
    }
    return outcome === "ended";
  }

  /** The pod has come to its end by itself or was failed: nothing may run, its records stay for logs and status. */
  async #settle(view: View): Promise<undefined> {
    const runs = view.sandboxes.some(({ containers }) => containers.some(({ state }) => state === "running"));
    if (runs && !this.#hasEnded(view, Number(this.#pod.spec?.terminationGracePeriodSeconds ?? 30))) {
      await this.#tell(view, false);
      return;
    }
    this.#probing.stop();
    const after = runs ? await this.#view() : view;
    await this.#tell(after, true);
    const up = after.sandboxes.filter(({ state }) => state === "ready");
    for (const sandbox of up) await this.#context.runtime.pods.stopSandbox(sandbox.id);
    if (up.length > 0) await this.#tell(await this.#view(), true);
  }

  /** The pod is deleted: everything goes, the API's object last. */
  async #end(view: View): Promise<undefined> {
    const { runtime, volumes, api } = this.#context;
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    const asked = Number(deletionGracePeriodSeconds ?? this.#pod.spec?.terminationGracePeriodSeconds ?? 30);
    if (!this.#hasEnded(view, this.#removed ? Math.max(asked, 1) : asked)) {
      this.#follow(view);
      await this.#tell(view, false);
      return;
    }
    this.#probing.stop();
    // A pod that makes no sense can be deleted all the same.
    await this.#tell(await this.#view(), true).catch((error) => reportFault(this.#context, this.#pod, error));
    await this.#writer.flush(this.uid);
    for (const sandbox of view.sandboxes) await runtime.pods.removeSandbox(sandbox.id);
    await volumes.unmount(this.uid);
    await cleanUpPod(this.uid, this.#context.node);
    if (!this.#removed) {
      try {
        await api.remove(this.#pod);
      } catch (error) {
        // Gone, or another pod has the name now.
        if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
      }
    }
    this.#images.forget(this.uid);
    this.#writer.forget(this.uid);
    this.stop();
    this.#gone();
  }

  async #tell(view: View, terminal: boolean): Promise<void> {
    if (this.#removed) return;
    if (this.#rejected && this.#failure) {
      this.#writer.set(this.#pod, rejectedStatus(this.#pod, this.#failure, this.#startTime));
      return;
    }
    const specs = [...(this.#pod.spec?.initContainers ?? []), ...(this.#pod.spec?.containers ?? [])];
    for (const spec of specs as Container[]) {
      for (const ended of view.of(spec.name)) {
        if (ended.state !== "exited" || this.#terminationMessages.has(ended.id)) continue;
        this.#terminationMessages.set(
          ended.id,
          await readTerminationMessage(this.#context, this.#pod, { spec, ended }),
        );
      }
    }
    const memory: Memory = {
      waiting: (name) => this.#starter.waiting(name),
      started: (container, spec) => this.#probing.started(container, spec),
      ready: (container, spec) => this.#probing.ready(container, spec),
      terminationMessage: (container) => this.#terminationMessages.get(container.id),
      failure: this.#failure,
      terminal,
      startTime: this.#startTime,
    };
    this.#writer.set(this.#pod, statusOf(this.#pod, view, memory, this.#context.node));
  }
}
