/**
 * The behaviour: one folder per controller, this list is what runs. A controller reads and writes through the client
 * and sees neither the API server nor a store.
 */
import type { Cloud } from "#cloud";
import type { AnyController } from "#reconcile";
import { clusterRoleAggregation } from "./cluster-role-aggregation/index.ts";
import { cronJobController } from "./cron-job/index.ts";
import { deploymentController } from "./deployment/index.ts";
import { endpointSliceController } from "./endpoint-slice/index.ts";
import { endpointsController } from "./endpoints/index.ts";
import { expiryController } from "./expiry/index.ts";
import { garbageCollector } from "./garbage-collector/index.ts";
import { jobController } from "./job/index.ts";
import { namespaceController } from "./namespace/index.ts";
import { type NodeSigns, nodeHealthController } from "./node-health/index.ts";
import { nodeIpamController } from "./node-ipam/index.ts";
import { nodeTtlController } from "./node-ttl/index.ts";
import { podEvictionController } from "./pod-eviction/index.ts";
import { replicaSetController } from "./replica-set/index.ts";
import { rootCaController } from "./root-ca/index.ts";
import { routeController } from "./route/index.ts";
import { serviceAccountController } from "./service-account/index.ts";
import { serviceAccountTokenController } from "./service-account-token/index.ts";
import { serviceAllocationController } from "./service-allocation/index.ts";
import { serviceLoadBalancerController } from "./service-load-balancer/index.ts";
import { ttlAfterFinishedController } from "./ttl-after-finished/index.ts";

export interface ControllerOptions {
  /** The certificate authority in PEM, for kube-root-ca.crt. */
  ca: string;
  /** How it is known that nodes live, where they do not renew a Lease through the API. */
  nodes?: NodeSigns;
  /** The block of which each node gets a part, where nodes do not say themselves which addresses they have. */
  podCidr?: string;
  /** What gives services load balancers, and pods of different nodes routes; without, services wait for theirs. */
  cloud?: Cloud;
}

export type { NodeSigns } from "./node-health/index.ts";

/** Every controller, in no order that matters. */
export const controllers = (options: ControllerOptions): AnyController[] => [
  deploymentController,
  replicaSetController,
  endpointSliceController,
  endpointsController,
  cronJobController,
  jobController,
  ttlAfterFinishedController,
  namespaceController,
  serviceAccountController,
  serviceAccountTokenController,
  rootCaController(options),
  garbageCollector,
  nodeHealthController(options.nodes),
  nodeIpamController(options.podCidr),
  nodeTtlController,
  podEvictionController(),
  expiryController,
  serviceAllocationController,
  serviceLoadBalancerController(options.cloud),
  routeController(options.cloud, options.podCidr),
  clusterRoleAggregation,
];
