import type { ContainerStatus, Pod } from "#api";
import { badRequest } from "#base";

/** One run of a container, as its status names it. */
export interface LoggedRun {
  status: ContainerStatus;
  /** As in the status, `containerd://…`; "" for a running container without one. */
  containerID: string;
  /** The part of the status that describes the run. */
  in: "state" | "lastState";
}

/**
 * The run whose log a request selects, by upstream's validateContainerLogStatus (kubelet_pods.go). Throws its
 * BadRequest when there is none.
 */
export function loggedRun({ metadata, status }: Pod, container: string, previous: boolean): LoggedRun {
  const found = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);
  const what = `container "${container}" in pod "${metadata.name ?? ""}"`;
  if (!found) throw badRequest(`${what} is not available`);
  const { state = {}, lastState } = found;
  const ended = lastState?.terminated;
  const last = (missing: string): LoggedRun => {
    if (!ended?.containerID) throw badRequest(missing);
    return { status: found, containerID: ended.containerID, in: "lastState" };
  };
  if (previous) return last(`previous terminated ${what} not found`);
  if (state.running) return { status: found, containerID: found.containerID ?? "", in: "state" };
  if (state.terminated?.containerID) return { status: found, containerID: state.terminated.containerID, in: "state" };
  // Its next run has not started, or never will.
  if (state.terminated || ended) return last(`${what} is terminated`);
  const waiting = state.waiting?.reason;
  if (!state.waiting) throw badRequest(`${what} is waiting to start - no logs yet`);
  if (waiting === "ErrImagePull") throw badRequest(`${what} is waiting to start: image can't be pulled`);
  if (waiting === "ImagePullBackOff") throw badRequest(`${what} is waiting to start: trying and failing to pull image`);
  throw badRequest(`${what} is waiting to start: ${waiting ?? ""}`);
}
