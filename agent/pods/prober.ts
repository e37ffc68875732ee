import { type CheckResult, type CheckTarget, check, type ProbeType, RunningProbe } from "#agent/probes";
import type { Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod, Probe } from "#api";
import { messageOf } from "#base";
import { restarts } from "#kubelet";
import { fieldPathOf, type PodsContext } from "./context.ts";
import { expand } from "./env.ts";

type Probes = Partial<Record<ProbeType, RunningProbe>>;

const probeOf = (container: Container, type: ProbeType): Probe | undefined =>
  ({ Startup: container.startupProbe, Liveness: container.livenessProbe, Readiness: container.readinessProbe })[type];

/** A running container with its definition. */
export interface ProbedContainer {
  spec: Container;
  running: RuntimeContainer;
}

/** The probes of one pod's running containers, and their results. */
export class Prober {
  readonly #context: PodsContext;
  readonly #wake: () => void;
  readonly #running = new Map<string, Probes>();
  /** Containers whose postStart hook has ended, or that have none. */
  readonly #begun = new Set<string>();
  /** The results that the API had of containers of an earlier process, before this process wrote a status. */
  readonly #past = new Map<string, PastResults>();

  constructor(context: PodsContext, wake: () => void) {
    this.#context = context;
    this.#wake = wake;
  }

  /** The container has been started and its hook has ended: its probes may begin. */
  begin(containerId: string): void {
    this.#begun.add(containerId);
  }

  /** Adopts containers of an earlier process. `pod` is as the API had it before this process wrote its status. */
  adopt(pod: Pod, containers: ProbedContainer[]): void {
    for (const { spec, running } of containers) {
      this.#begun.add(running.id);
      this.#past.set(running.id, pastResults(pod, { spec, running }, this.#context.node.runtimeName));
    }
  }

  /** Whether the startup probe has succeeded, or there is none (upstream's isContainerStarted). */
  started(container: RuntimeContainer, spec: Container): boolean {
    if (!this.#begun.has(container.id)) return false;
    if (!spec.startupProbe) return true;
    const startup = this.#running.get(container.id)?.Startup;
    return (startup ? startup.result : this.#past.get(container.id)?.Startup) === true;
  }

  ready(container: RuntimeContainer, spec: Container): boolean {
    if (!spec.readinessProbe) return true;
    const readiness = this.#running.get(container.id)?.Readiness;
    return (readiness ? readiness.result : this.#past.get(container.id)?.Readiness) === true;
  }

  /** A probe that has reached its failure threshold, if there is one. */
  failed(container: RuntimeContainer): ProbeType | undefined {
    const probes = this.#running.get(container.id);
    if (probes?.Startup?.result === false) return "Startup";
    return probes?.Liveness?.result === false ? "Liveness" : undefined;
  }

  /** Probes these containers and no others. */
  follow(pod: Pod, ip: string, containers: ProbedContainer[]): void {
    const alive = new Set(containers.map(({ running }) => running.id));
    for (const id of this.#running.keys()) if (!alive.has(id)) this.#end(id);
    for (const id of this.#begun) if (!alive.has(id)) this.#begun.delete(id);
    for (const id of this.#past.keys()) if (!alive.has(id)) this.#past.delete(id);
    for (const { spec, running } of containers) {
      if (this.#running.has(running.id) || !this.#begun.has(running.id)) continue;
      this.#running.set(running.id, this.#start(pod, ip, { spec, running }));
    }
  }

  stop(): void {
    for (const id of [...this.#running.keys()]) this.#end(id);
  }

  /** Ends the probes that could restart a container; readiness probes continue while a pod terminates. */
  stopRestarting(): void {
    for (const probes of this.#running.values()) {
      probes.Liveness?.stop();
      probes.Startup?.stop();
    }
  }

  #end(id: string): void {
    for (const probe of Object.values(this.#running.get(id) ?? {})) probe.stop();
    this.#running.delete(id);
  }

  #start(pod: Pod, ip: string, { spec, running }: ProbedContainer): Probes {
    const { clock, random, runtime, node } = this.#context;
    const probes: Probes = {};
    // Only literal values of the container's definition, as upstream's ExpandContainerCommandOnlyStatic.
    const literal = Object.fromEntries((spec.env ?? []).map(({ name, value = "" }) => [name, value]));
    const expanded = (word: string): string => expand(word, literal);
    const target: CheckTarget = {
      container: spec,
      ip,
      run: (command, timeout) => runtime.streams.run(running.id, command.map(expanded), timeout),
      reachable: node.reachable,
    };
    const past = this.#past.get(running.id);
    for (const type of ["Startup", "Liveness", "Readiness"] as const) {
      const probe = probeOf(spec, type);
      if (!probe) continue;
      probes[type] = new RunningProbe({
        type,
        probe,
        startedAt: running.startedAt ?? clock.now(),
        initial: type === "Liveness" ? undefined : past?.[type],
        clock,
        random,
        check: (timeout) => check(probe, timeout, target),
        active: () => type === "Startup" || probes.Startup === undefined || probes.Startup.result === true,
        reported: (result) => this.#report(pod, spec, { type, ...result }),
        crashed: (error) => {
          const fields = { pod: pod.metadata.name, container: spec.name, error: messageOf(error) };
          this.#context.log.error(`a ${type.toLowerCase()} probe failed by a fault of the agent`, fields);
        },
        changed: (result) => {
          if (type === "Startup" && result) probes.Readiness?.checkNow();
          this.#wake();
        },
      });
    }
    return probes;
  }

  #report(pod: Pod, spec: Container, { type, outcome, output }: CheckResult & { type: ProbeType }): void {
    const warn = (reason: string, message: string): void =>
      this.#context.record(pod, "Warning", reason, message, fieldPathOf(pod, spec.name));
    if (outcome === "warning") warn("ProbeWarning", `${type} probe warning: ${output}`);
    else if (outcome === "unknown") warn("Unhealthy", `${type} probe errored and resulted in unknown state: ${output}`);
    else warn("Unhealthy", `${type} probe failed: ${output}`);
  }
}

/** Results of an earlier process's probes. Only successes are adopted. */
interface PastResults {
  Startup: true | undefined;
  Readiness: true | undefined;
}

/** The API's status of exactly this container, so that a restart of the agent does not make it unready. */
function pastResults(pod: Pod, { spec, running }: ProbedContainer, runtimeName: string): PastResults {
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const known = all.find(({ containerID }) => containerID === `${runtimeName}://${running.id}`);
  return {
    Startup: known?.started === true && spec.startupProbe ? true : undefined,
    Readiness: known?.ready === true ? true : undefined,
  };
}

/** The event's text when a container is killed because of a probe. */
export function probeFailureMessage(pod: Pod, spec: Container, type: ProbeType): string {
  const consequence = restarts(pod, spec, { exitCode: 137, isInit: false }) ? ", will be restarted" : "";
  return `Container ${spec.name} failed ${type.toLowerCase()} probe${consequence}`;
}
