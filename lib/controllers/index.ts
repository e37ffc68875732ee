/**
 * The controllers: one folder each, and the list of those that run. A controller reads and writes through the client
 * and sees neither the API server nor a store.
 */
import type { Cloud } from "#cloud";
import type { AnyController } from "#reconcile";
import { allocatorRepairController } from "./allocator-repair/index.ts";
import { bootstrapSignerController } from "./bootstrapsigner/index.ts";
import { clusterRoleAggregationController } from "./clusterrole-aggregation/index.ts";
import { cronJobController } from "./cronjob/index.ts";
import { csrApprovingController } from "./csrapproving/index.ts";
import { csrCleanerController } from "./csrcleaner/index.ts";
import { csrSigningController, type Signers } from "./csrsigning/index.ts";
import { deploymentController } from "./deployment/index.ts";
import { endpointsController } from "./endpoints/index.ts";
import { endpointSliceController } from "./endpointslice/index.ts";
import { endpointSliceMirroringController } from "./endpointslicemirroring/index.ts";
import { eventTtlController } from "./event-ttl/index.ts";
import { garbageCollectorController } from "./garbage-collector/index.ts";
import { jobController } from "./job/index.ts";
import { namespaceController } from "./namespace/index.ts";
import { nodeIpamController } from "./node-ipam/index.ts";
import { type NodeHeartbeats, nodeLifecycleController } from "./node-lifecycle/index.ts";
import { nodeRouteController } from "./node-route/index.ts";
import { replicaSetController } from "./replicaset/index.ts";
import { rootCaCertificatePublisher } from "./root-ca-certificate-publisher/index.ts";
import { serviceLbController } from "./service-lb/index.ts";
import { serviceAccountController } from "./serviceaccount/index.ts";
import { serviceAccountTokenController } from "./serviceaccount-token/index.ts";
import { taintEvictionController } from "./taint-eviction/index.ts";
import { tokenCleanerController } from "./tokencleaner/index.ts";
import { ttlController } from "./ttl/index.ts";
import { ttlAfterFinishedController } from "./ttl-after-finished/index.ts";

/** Without a signer of `Signers`, requests for its certificates fail once they are approved. */
export interface ControllerOptions extends Signers {
  /** Reads the certificate authority in PEM, for kube-root-ca.crt. */
  ca: () => Promise<string>;
  /** How heartbeats of nodes are known where they do not renew a Lease through the API. */
  nodes?: NodeHeartbeats;
  /** The CIDR from which each node gets a block. Absent where nodes report their own. */
  podCidr?: string;
  /**
   * Creates load balancers for services, and routes between nodes. Without it, services of type LoadBalancer stay
   * pending.
   */
  cloud?: Cloud;
}

export type { CertificateSigner } from "./csrsigning/index.ts";

export type { NodeHeartbeats } from "./node-lifecycle/index.ts";

/** All controllers; their order does not matter. */
export const controllers = (options: ControllerOptions): AnyController[] => [
  deploymentController,
  replicaSetController,
  endpointSliceController,
  endpointSliceMirroringController,
  endpointsController,
  cronJobController,
  jobController,
  ttlAfterFinishedController,
  namespaceController,
  serviceAccountController,
  serviceAccountTokenController,
  rootCaCertificatePublisher(options),
  garbageCollectorController,
  nodeLifecycleController(options.nodes),
  nodeIpamController(options.podCidr),
  ttlController,
  taintEvictionController(),
  eventTtlController,
  allocatorRepairController,
  serviceLbController(options.cloud),
  nodeRouteController(options.cloud, options.podCidr),
  clusterRoleAggregationController,
  csrApprovingController,
  csrSigningController(options),
  csrCleanerController,
  bootstrapSignerController,
  tokenCleanerController,
];
