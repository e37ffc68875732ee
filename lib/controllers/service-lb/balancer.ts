import { type Node, needsHealthCheckPort, type Service } from "#api";
import type { LoadBalancer } from "#cloud";

const excluded = "node.kubernetes.io/exclude-from-external-load-balancers";
const leaving = "ToBeDeletedByClusterAutoscaler";
const rangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";

/** The texts that Go's ParseBool reads as false; every other text means yes. */
const no = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/**
 * Whether a node accepts traffic from load balancers. As in upstream, readiness does not matter: health checks decide,
 * and a node that is removed loses its connections at once.
 */
export function isEligible({ metadata, spec }: Node): boolean {
  if (metadata.deletionTimestamp) return false;
  const label = metadata.labels?.[excluded];
  if (label !== undefined && !no.has(label)) return false;
  return !spec?.taints?.some(({ key }) => key === leaving);
}

/** All addresses are allowed where a service does not restrict its sources. */
function sourceRangesOf({ metadata, spec }: Service): string[] {
  const ranges = spec?.loadBalancerSourceRanges ?? [];
  const written = ranges.length > 0 ? ranges : (metadata.annotations?.[rangesAnnotation] ?? "").split(",");
  const trimmed = written.map((range) => range.trim()).filter((range) => range !== "");
  return trimmed.length > 0 ? [...new Set(trimmed)] : ["0.0.0.0/0"];
}

/** The load balancer that a service requests, with the nodes that accept its traffic. */
export function balancerOf(service: Service, nodes: readonly string[]): LoadBalancer {
  const { metadata, spec = {} } = service;
  const { uid = "", namespace = "", name = "" } = metadata;
  const healthPort = needsHealthCheckPort(service) ? spec.healthCheckNodePort : undefined;
  return {
    service: { uid, namespace, name },
    ports: (spec.ports ?? []).map(({ protocol = "TCP", port, nodePort = 0 }) => ({ protocol, port, nodePort })),
    nodes,
    sourceRanges: sourceRangesOf(service),
    ...(healthPort ? { healthPort } : {}),
    affinity: spec.sessionAffinity === "ClientIP",
    ...(spec.loadBalancerIP ? { address: spec.loadBalancerIP } : {}),
    annotations: metadata.annotations ?? {},
  };
}
