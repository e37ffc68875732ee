import { type Container, type ContainerStatus, isSidecar, type Pod } from "#api";

interface Statuses {
  inits: ContainerStatus[];
  mains: ContainerStatus[];
}

/**
 * The statuses of a pod without running containers: a container that may have run and has no terminated state counts
 * as failed (upstream's TerminatePod).
 */
export function endedStatuses(pod: Pod, { inits, mains }: Statuses): Statuses {
  const begun = inits.findLastIndex(({ state, lastState }) => !state?.waiting || lastState?.terminated);
  return {
    inits: inits.map((status, index) => (index <= Math.max(begun, 0) ? ended(status) : status)),
    mains: hasInitialized(pod, { inits, mains }) ? mains.map(ended) : mains,
  };
}

function ended(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated) return status;
  const message = "The container could not be located when the pod was terminated";
  return { ...status, state: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown", message } } };
}

/** Whether main containers may have been started (upstream's hasPodInitialized). */
function hasInitialized({ spec }: Pod, { inits, mains }: Statuses): boolean {
  const last = spec?.initContainers?.at(-1);
  if (!last) return true;
  if (mains.some(({ state, lastState }) => lastState?.terminated || !state?.waiting)) return true;
  const { state, lastState, started } = inits.at(-1) ?? {};
  if (isSidecar(last as Container)) return state?.running !== undefined && started === true;
  return state?.terminated?.exitCode === 0 || lastState?.terminated?.exitCode === 0;
}
