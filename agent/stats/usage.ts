import type { NodeUsage } from "#api/meta";
import type { Measured, Sample } from "./sample.ts";

/** The answer for metrics.k8s.io: rates and working sets. Pods with a container that has no rate yet are left out. */
export function usageAnswer({ node, pods }: Sample): NodeUsage {
  const own = spanOf(node);
  return {
    ...(own ? { node: own } : {}),
    pods: pods.flatMap(({ sandbox: { namespace, name, uid }, containers }) => {
      const measured = containers.map((one) => ({ name: one.name, span: spanOf(one) }));
      const spans = measured.map(({ span }) => span).filter((span) => span !== undefined);
      // metrics-server: the span of a pod is that of the container that was measured first.
      const [first] = spans.toSorted((a, b) => a.at - b.at);
      if (!first || spans.length < containers.length) return [];
      const parts = measured.map(({ name: container, span }) => ({
        name: container,
        cpu: span!.cpu,
        memory: span!.memory,
      }));
      return [{ namespace, name, uid, at: first.at, window: first.window, containers: parts }];
    }),
  };
}

const spanOf = ({ at, usage, rate }: Measured) =>
  rate && { at, window: rate.window, cpu: rate.nanoCores, memory: usage.memory.workingSet };
