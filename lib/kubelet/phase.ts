import { type Container, type ContainerStatus, isSidecar, type Pod } from "#api";
import { restartingAll, restarts } from "./restart.ts";

export type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

/** Whether the phase is final: no container runs or will run. */
export const isOver = (phase: string | undefined): boolean => phase === "Succeeded" || phase === "Failed";

export interface PhaseInput {
  pod: Pod;
  /** In the order of the pod's init containers. */
  inits: ContainerStatus[];
  /** In the order of the pod's containers. */
  mains: ContainerStatus[];
  /** No container runs or will run. */
  terminal: boolean;
  /** A main container has been started in the current sandbox. */
  initialized: boolean;
}

/** A pod's phase by upstream's getPhase, and by TerminatePod for a pod without running containers. */
export function phaseOf(input: PhaseInput): Phase {
  const { terminal } = input;
  const phase = runningPhase(input);
  return terminal && (phase === "Pending" || phase === "Running") ? "Failed" : phase;
}

function runningPhase({ pod, inits, mains, terminal, initialized }: PhaseInput): Phase {
  const init = countInits(pod, inits);
  const main = countMains(pod, mains);
  if (init.failed > 0) return "Failed";
  if (init.pending > 0 || (init.pendingSidecars > 0 && !initialized) || init.waitingSidecars + main.waiting > 0) {
    return "Pending";
  }
  if (init.runningSidecars + main.running > 0) return "Running";
  if (main.stopped === 0) return "Pending";
  if (!terminal && main.restarting > 0) return "Running";
  return main.stopped === main.succeeded ? "Succeeded" : "Failed";
}

const lastEnd = ({ state, lastState }: ContainerStatus) =>
  state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined);

/** The last exit code of a container that does not run, also while it waits for its next start. */
const endOf = (status: ContainerStatus): number | undefined => lastEnd(status)?.exitCode;

/** Whether a container that does not run is started again. */
const isRestarted = (pod: Pod, container: Container, status: ContainerStatus, isInit: boolean): boolean =>
  lastEnd(status)?.reason === restartingAll || restarts(pod, container, { exitCode: endOf(status), isInit });

function countInits(pod: Pod, statuses: ContainerStatus[]) {
  const count = { pending: 0, failed: 0, pendingSidecars: 0, waitingSidecars: 0, runningSidecars: 0 };
  for (const [index, status] of statuses.entries()) {
    const container = (pod.spec?.initContainers ?? [])[index] as Container;
    const exitCode = endOf(status);
    if (isSidecar(container)) {
      if (status.state?.running) {
        count.runningSidecars++;
        if (!status.started) count.pendingSidecars++;
      } else if (exitCode === undefined) {
        count.pendingSidecars++;
        count.waitingSidecars++;
      }
    } else if (exitCode === undefined) count.pending++;
    else if (exitCode !== 0 && !isRestarted(pod, container, status, true)) count.failed++;
  }
  return count;
}

function countMains(pod: Pod, statuses: ContainerStatus[]) {
  const count = { running: 0, waiting: 0, stopped: 0, restarting: 0, succeeded: 0 };
  for (const [index, status] of statuses.entries()) {
    const container = (pod.spec?.containers ?? [])[index] as Container;
    const exitCode = endOf(status);
    if (status.state?.running) count.running++;
    else if (exitCode === undefined) count.waiting++;
    else {
      count.stopped++;
      if (isRestarted(pod, container, status, false)) count.restarting++;
      if (status.state?.terminated && exitCode === 0) count.succeeded++;
    }
  }
  return count;
}
