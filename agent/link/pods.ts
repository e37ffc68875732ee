import type { Container, Runtime, Sandbox } from "#agent/runtime";
import type { Pod } from "#api";
import type { PodPlace } from "#api/meta";
import { ApiError, notFound } from "#base";
import { loggedRun } from "#kubelet";

/** The pods of a node, as the link uses them. */
export interface LinkedPods {
  node: string;
  runtime: Runtime;
  /** The node's own addresses, which pods on its network have. */
  ips?: readonly string[] | undefined;
  /** A pod of this node, with the newest status that the node knows. */
  find(namespace: string, name: string): Pod | undefined;
  /** All of them, as `find` returns each. Absent: none. */
  list?: (() => Pod[]) | undefined;
}

/** Throws NotFound. */
function findPod(pods: LinkedPods, { namespace, name }: PodPlace): Pod {
  const pod = pods.find(namespace, name);
  if (!pod) throw notFound({ group: "", resource: "pods" }, name);
  return pod;
}

/** The pod and its sandboxes in the runtime, the newest last. Throws NotFound. */
export async function sandboxesOf(pods: LinkedPods, place: PodPlace): Promise<{ pod: Pod; sandboxes: Sandbox[] }> {
  const pod = findPod(pods, place);
  const sandboxes = await pods.runtime.pods.list({ uid: pod.metadata.uid ?? "" });
  return { pod, sandboxes: sandboxes.sort((a, b) => a.attempt - b.attempt) };
}

/** The running container of this name. Throws upstream's Status when it does not run. */
export async function runningContainer(pods: LinkedPods, place: PodPlace, container: string): Promise<Container> {
  const { sandboxes } = await sandboxesOf(pods, place);
  const found = sandboxes
    .flatMap(({ containers }) => containers)
    .findLast((one) => one.name === container && one.state === "running");
  if (found) return found;
  throw new ApiError(500, "InternalError", `container not found ("${container}")`);
}

/** The container whose log is requested. Throws upstream's BadRequest when it has none. */
export function loggedContainer(
  pods: LinkedPods,
  place: PodPlace,
  { container, previous }: { container: string; previous: boolean },
): { id: string } {
  const { containerID } = loggedRun(findPod(pods, place), container, previous);
  return { id: containerID.slice(containerID.indexOf("://") + 3) };
}
