import type { Container, Runtime, Sandbox } from "#agent/runtime";
import type { Pod } from "#api";
import { ApiError, notFound } from "#base";
import { loggedRun } from "#kubelet";

/** What the link knows of a node. */
export interface LinkedPods {
  node: string;
  runtime: Runtime;
  /** A pod that is on this node, with the newest status that the node knows. */
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

/** The container whose log is asked for. Throws BadRequest in upstream's words where there is none. */
export function loggedContainer(
  pods: LinkedPods,
  namespace: string,
  name: string,
  { container, previous }: { container: string; previous: boolean },
): { id: string } {
  const pod = pods.find(namespace, name);
  if (!pod) throw notFound({ group: "", resource: "pods" }, name);
  const { containerID } = loggedRun(pod, container, previous);
  return { id: containerID.slice(containerID.indexOf("://") + 3) };
}
