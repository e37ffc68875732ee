/** Questions about a service that its rules, defaults and allocators share. */
import type { Service } from "./schema.ts";

/** No address of its own: DNS leads straight to the pods. */
export const isHeadless = ({ spec }: Service): boolean =>
  spec?.clusterIPs?.length === 1 && spec.clusterIPs[0] === "None";

export const trafficPolicies = ["Cluster", "Local"];

export const needsClusterIp = ({ spec }: Service): boolean => spec?.type !== "ExternalName";

/** Whether the type has node ports; a load balancer may have none (allocateLoadBalancerNodePorts). */
export const needsNodePort = ({ spec }: Service): boolean => spec?.type === "NodePort" || spec?.type === "LoadBalancer";

/** Whether nodes serve a health check of local endpoints to a load balancer. */
export const needsHealthCheckPort = ({ spec }: Service): boolean =>
  spec?.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

/** Whether traffic can come from outside the cluster. */
export const isExternallyAccessible = (service: Service): boolean =>
  needsNodePort(service) || (service.spec?.type === "ClusterIP" && !!service.spec.externalIPs?.length);
