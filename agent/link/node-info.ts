import type { Container } from "#agent/runtime";
import type { Pod } from "#api";
import type { LinkedPods } from "./pods.ts";

/** A v1 PodList, as the kubelet's /pods and /runningpods answer. */
export const podList = (items: readonly object[]): object => ({
  kind: "PodList",
  apiVersion: "v1",
  metadata: {},
  items,
});

/** The pods that have a running container in the runtime, each with these containers and no more (Pod.ToAPIPod). */
export async function runningPods({ runtime }: LinkedPods): Promise<Pick<Pod, "metadata" | "spec">[]> {
  const sandboxes = await runtime.pods.list();
  const running = (containers: Container[]) => containers.filter(({ state }) => state === "running");
  return sandboxes
    .filter(({ containers }) => running(containers).length > 0)
    .map(({ name, namespace, uid, containers }) => ({
      metadata: { name, namespace, uid },
      spec: { containers: running(containers).map((one) => ({ name: one.name, image: one.image, resources: {} })) },
    }));
}

/** The parts of a KubeletConfiguration that this agent has. It opens no port: `enableServer` is false. */
export async function configz({ runtime }: LinkedPods): Promise<object> {
  const { cgroupDriver } = await runtime.info();
  return { kubeletconfig: { enableServer: false, cgroupDriver } };
}
