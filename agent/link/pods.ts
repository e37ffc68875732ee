import type { Container, Runtime, Sandbox } from "#agent/runtime";
import type { Pod } from "#api";
import { ApiError, badRequest, notFound } from "#base";

/** What the link knows of a node. */
export interface LinkedPods {
  node: string;
  runtime: Runtime;
  /** A pod that is on this node. */
  find(namespace: string, name: string): Pod | undefined;
}

/** The pod and what the runtime has of it, the newest sandbox last. Throws NotFound. */
export async function lookUp(
  pods: LinkedPods,
  namespace: string,
  name: string,
): Promise<{ pod: Pod; sandboxes: Sandbox[] }> {
  const pod = pods.find(namespace, name);
  if (!pod) throw notFound({ group: "", resource: "pods" }, name);
  const sandboxes = await pods.runtime.pods.list({ uid: pod.metadata.uid ?? "" });
  return { pod, sandboxes: sandboxes.sort((a, b) => a.attempt - b.attempt) };
}

/** The container as it runs now. Throws a Status in upstream's words when it does not run. */
export async function runningContainer(
  pods: LinkedPods,
  namespace: string,
  name: string,
  container: string,
): Promise<Container> {
  const { sandboxes } = await lookUp(pods, namespace, name);
  const found = sandboxes
    .flatMap(({ containers }) => containers)
    .findLast((one) => one.name === container && one.state === "running");
  if (found) return found;
  throw new ApiError(500, "InternalError", `container not found ("${container}")`);
}

/** The container whose log is asked for. Throws BadRequest in upstream's words where there is none yet. */
export async function loggedContainer(
  pods: LinkedPods,
  namespace: string,
  name: string,
  { container, previous }: { container: string; previous: boolean },
): Promise<Container> {
  const { pod, sandboxes } = await lookUp(pods, namespace, name);
  const all = sandboxes
    .flatMap(({ containers }) => containers)
    .filter((one) => one.name === container)
    .sort((a, b) => a.attempt - b.attempt);
  const status = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.ephemeralContainerStatuses ?? []),
  ].find((one) => one.name === container);
  if (previous) {
    const ended = all.filter(({ state }) => state === "exited");
    const last = all.at(-1);
    const found = last?.state === "exited" && status?.state?.waiting ? last : ended.findLast((one) => one !== last);
    if (found) return found;
    throw badRequest(`previous terminated container "${container}" in pod "${name}" not found`);
  }
  const found = all.findLast(({ state }) => state !== "created");
  if (found) return found;
  const waiting = status?.state?.waiting?.reason;
  if (waiting === undefined || /^(ContainerCreating|PodInitializing)$/.test(waiting)) {
    throw badRequest(
      `container "${container}" in pod "${name}" is waiting to start: ${waiting ?? "ContainerCreating"}`,
    );
  }
  const failing = /Err|Error|Invalid|BackOff/.test(waiting);
  const why = failing && waiting !== "CreateContainerConfigError" ? "trying and failing to pull image" : waiting;
  throw badRequest(`container "${container}" in pod "${name}" is waiting to start: ${why}`);
}
