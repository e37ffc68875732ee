import { isRuntimeError, type Container as RuntimeContainer, type Sandbox } from "#agent/runtime";
import type { Mounted } from "#agent/volumes";
import { type Container, goDuration, type Pod } from "#api";
import { messageOf, parseTime } from "#base";
import { Backoff, retryDelay } from "#kubelet";
import { containerSpecOf } from "./container-spec.ts";
import { fieldPathOf, type PodsContext, podLabel, StartError } from "./context.ts";
import { runHook } from "./hooks.ts";
import { mountImageVolumes } from "./image-volumes.ts";
import type { Images } from "./images.ts";
import type { View } from "./plan.ts";
import type { RestartAll } from "./restart-all.ts";
import { containerHash, dnsOf, sandboxSpecOf } from "./sandbox-spec.ts";

/** Upstream's kubelet lists the runtime's containers once a second, and syncs a pod again that has changed. */
const soonMilliseconds = 1000;

interface StartContext {
  pod: Pod;
  view: View;
  sandbox: Sandbox;
  volumes: Record<string, Mounted>;
  signal: AbortSignal;
}

/** Starts one pod's containers, and stores why a container waits. */
export class Starter {
  readonly #context: PodsContext;
  readonly #images: Images;
  readonly #restartAll: RestartAll;
  readonly #backoff = new Backoff();
  readonly #waiting = new Map<string, { reason: string; message: string; retryAt: number; hash: string }>();

  constructor(context: PodsContext, images: Images, restartAll: RestartAll) {
    this.#context = context;
    this.#restartAll = restartAll;
    this.#images = images;
  }

  waiting(name: string): { reason: string; message: string } | undefined {
    return this.#waiting.get(name);
  }

  clear(name: string): void {
    this.#waiting.delete(name);
  }

  /** When the next try is due, in milliseconds since the epoch; undefined when no container waits. */
  get retryAt(): number | undefined {
    const times = [...this.#waiting.values()].map(({ retryAt }) => retryAt);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * Starts the container, or records why it waits. Resolves with its id once it runs and its postStart hook has ended.
   */
  async start(container: Container, start: StartContext): Promise<string | undefined> {
    const { pod, view, signal } = start;
    const { clock, record } = this.#context;
    const path = fieldPathOf(pod, container.name);
    const key = `${container.name}/${containerHash(container)}`;
    const waits = this.#waiting.get(container.name);
    // The pod is also synchronized for other reasons; a new try is due by time or after a change of the definition.
    if (waits && waits.hash === containerHash(container) && waits.retryAt > clock.now()) return undefined;
    try {
      const ended = view.of(container.name).findLast(({ state }) => state === "exited")?.finishedAt;
      if (ended !== undefined) {
        const left = this.#backoff.left(key, ended, clock.now());
        if (left > 0) {
          const delay = goDuration(this.#backoff.delay(key) * 1e6);
          const what = `failed container ${container.name} in pod ${podLabel(pod)}`;
          record(pod, "Warning", "BackOff", `Back-off restarting ${what}`, path);
          const message = `back-off ${delay} restarting failed container=${container.name} pod=${podLabel(pod)}`;
          this.#wait(container, { reason: "CrashLoopBackOff", message }, left);
          return undefined;
        }
        // Raised before the try, as upstream does: a failed try counts.
        this.#backoff.raise(key, ended, clock.now());
      }
      const id = await this.#run(container, start, path);
      this.#waiting.delete(container.name);
      return id;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#recordFailure(pod, container, error);
      return undefined;
    }
  }

  #wait(container: Container, why: { reason: string; message: string }, milliseconds: number): void {
    const retryAt = this.#context.clock.now() + milliseconds;
    this.#waiting.set(container.name, { ...why, retryAt, hash: containerHash(container) });
  }

  /** Records why the container did not start. Reasons and events are those of upstream's startContainer. */
  #recordFailure(pod: Pod, container: Container, error: unknown): void {
    const { record, random } = this.#context;
    const path = fieldPathOf(pod, container.name);
    const message = messageOf(error);
    if (error instanceof StartError) {
      const { reason } = error;
      if (reason !== "PostStartHookError") {
        record(pod, "Warning", "Failed", `Error: ${reason === "CreateContainerConfigError" ? message : reason}`, path);
      }
      this.#wait(container, { reason, message }, error.soon ? soonMilliseconds : retryDelay(random));
      return;
    }
    record(pod, "Warning", "Failed", `Error: ${message}`, path);
    // A container that was created and did not start has exited: its back-off decides when it is tried again.
    if (isRuntimeError(error, "start"))
      this.#wait(container, { reason: "RunContainerError", message }, soonMilliseconds);
    else this.#wait(container, { reason: "CreateContainerError", message }, retryDelay(random));
  }

  async #run(container: Container, start: StartContext, path: string): Promise<string> {
    const { pod, view, sandbox, volumes, signal } = start;
    const { runtime, record, node, clock, log } = this.#context;
    const image = await this.#images.ensure(pod, container, signal);
    const imageVolumes = await mountImageVolumes(this.#context, this.#images, { pod, container, signal });
    const before = view.of(container.name);
    const last = before.at(-1);
    const removed = last ? undefined : this.#restartAll.counts.get(container.name);
    const attempt = removed ?? attemptFor(pod, container.name, { last, sandboxId: sandbox.id, now: clock.now() });
    const target = (pod.spec?.ephemeralContainers ?? []).find(
      ({ name }) => name === container.name,
    )?.targetContainerName;
    const podIPs = pod.spec?.hostNetwork ? node.ips : sandbox.ips;
    const spec = await containerSpecOf(this.#context, {
      pod,
      container,
      attempt,
      image,
      volumes: { ...volumes, ...imageVolumes },
      podIPs,
      targetContainerId: target ? view.now(target)?.id : undefined,
    });
    signal.throwIfAborted();
    const sandboxSpec = sandboxSpecOf(pod, sandbox.attempt, node, await dnsOf(pod, node));
    const id = await runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: sandboxSpec, container: spec });
    record(pod, "Normal", "Created", "Container created", path);
    record(pod, "Normal", "Started", "Container started", path);
    // The last exited container stays for its log and its last state; those before it are removed.
    for (const old of before.slice(0, -1)) await runtime.pods.removeContainer(old.id);
    const postStart = container.lifecycle?.postStart;
    if (!postStart) return id;
    try {
      const ip = podIPs[0] ?? "";
      await runHook(postStart, {
        container,
        containerId: id,
        ip,
        streams: runtime.streams,
        clock,
        reachable: node.reachable,
        fellBack: (message) => record(pod, "Warning", "LifecycleHTTPFallback", message),
        signal,
      });
      return id;
    } catch (error) {
      if (signal.aborted) throw error;
      log.info("a postStart hook failed", {
        pod: pod.metadata.name,
        container: container.name,
        error: messageOf(error),
      });
      record(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", path);
      record(pod, "Normal", "Killing", "FailedPostStartHook", path);
      await runtime.pods.stopContainer(id, Number(pod.spec?.terminationGracePeriodSeconds ?? 30));
      throw new StartError("PostStartHookError", messageOf(error), { cause: error, soon: true });
    }
  }
}

/** The last attempt if its container was created and never started, otherwise the next one. */
function attemptFor(
  pod: Pod,
  name: string,
  { last, sandboxId, now }: { last: RuntimeContainer | undefined; sandboxId: string; now: number },
): number {
  if (!last) return reportedRestarts(pod, name, now);
  return last.state === "created" && last.sandboxId === sandboxId ? last.attempt : last.attempt + 1;
}

/** The restarts that the API already counts for a container that the runtime no longer has. */
function reportedRestarts(pod: Pod, name: string, now: number): number {
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const known = all.find((status) => status.name === name);
  if (!known?.containerID) return 0;
  const began = known.state?.running?.startedAt ?? known.state?.terminated?.startedAt;
  return began !== undefined && parseTime(began) <= now ? known.restartCount + 1 : known.restartCount;
}
