import type { ContainerState, ContainerStatus, Pod, PodStatus } from "#api";

/** The most bytes of termination messages that one pod's containers share evenly. */
const podMessageBytes = 12 * 1024;

/** The status with each termination message cut to its container's share (upstream's normalizeStatus). */
export function withShortMessages({ spec }: Pod, status: PodStatus): PodStatus {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec ?? {};
  const count = containers.length + initContainers.length + ephemeralContainers.length;
  const most = Math.floor(podMessageBytes / Math.max(count, 1));
  const state = (one: ContainerState | undefined): ContainerState | undefined => {
    const message = one?.terminated?.message;
    if (message === undefined || Buffer.byteLength(message) <= most) return one;
    return { ...one, terminated: { ...one!.terminated!, message: Buffer.from(message).subarray(0, most).toString() } };
  };
  const list = (all: ContainerStatus[] | undefined): ContainerStatus[] | undefined =>
    all?.map((one) => ({ ...one, state: state(one.state), lastState: state(one.lastState) }) as ContainerStatus);
  const { initContainerStatuses, containerStatuses, ephemeralContainerStatuses } = status;
  return {
    ...status,
    ...(initContainerStatuses ? { initContainerStatuses: list(initContainerStatuses) } : {}),
    ...(containerStatuses ? { containerStatuses: list(containerStatuses) } : {}),
    ...(ephemeralContainerStatuses ? { ephemeralContainerStatuses: list(ephemeralContainerStatuses) } : {}),
  } as PodStatus;
}
