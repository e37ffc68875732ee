import type { Container, Pod } from "#api";
import { hashAnnotation } from "./container-spec.ts";
import type { ContainerHealth } from "./plan.ts";
import { type Prober, probeFailureMessage } from "./prober.ts";
import type { Resizer } from "./resizer.ts";
import { containerHash } from "./sandbox-spec.ts";

/** What a plan needs to know of the pod's running containers, from their probes and their resources. */
export const healthOf = (pod: Pod, prober: Prober, resizer: Resizer): ContainerHealth => ({
  started: (container, spec) => prober.started(container, spec),
  killReason: (container, spec) => {
    const type = prober.failed(container);
    if (type) {
      const probe = type === "Startup" ? spec.startupProbe : spec.livenessProbe;
      const grace = probe?.terminationGracePeriodSeconds;
      const message = probeFailureMessage(pod, spec, type);
      return { message, ...(grace === undefined ? {} : { graceSeconds: Number(grace) }) };
    }
    if (resizer.needsRestart(pod, spec, container)) {
      return { message: `Container ${spec.name} resize requires restart` };
    }
    return definitionChange(container.annotations[hashAnnotation], spec);
  },
});

function definitionChange(hash: string | undefined, spec: Container): { message: string } | undefined {
  if (hash === undefined || hash === containerHash(spec)) return undefined;
  return { message: `Container ${spec.name} definition changed, will be restarted` };
}
