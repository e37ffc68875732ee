/**
 * What objects are: the schemas, types and definitions of every kind, and the catalog that lists them. Nothing here
 * stores, sends or reconciles anything; the other rooms read the definitions and never ask which kind it is.
 */

import { deployment, replicaSet } from "./apps/index.ts";
import { selfSubjectReview, tokenRequest, tokenReview } from "./authentication/index.ts";
import {
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  subjectAccessReview,
} from "./authorization/index.ts";
import { scale } from "./autoscaling/index.ts";
import { cronJob, job } from "./batch/index.ts";
import { lease } from "./coordination/index.ts";
import {
  binding,
  configMap,
  endpoints,
  event,
  namespace,
  node,
  pod,
  secret,
  service,
  serviceAccount,
} from "./core/index.ts";
import { endpointSlice } from "./discovery/index.ts";
import { eventsEvent } from "./events/index.ts";
import type { Kind } from "./meta/index.ts";
import { ipAddress, serviceCidr } from "./networking/index.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "./rbac/index.ts";
import { accessEntry, nodePortAllocation, podCidrAllocation } from "./skiff/index.ts";

export * from "./apps/index.ts";
export * from "./authentication/index.ts";
export * from "./authorization/index.ts";
export * from "./autoscaling/index.ts";
export * from "./batch/index.ts";
export * from "./coordination/index.ts";
export * from "./core/index.ts";
export * from "./discovery/index.ts";
export * from "./events/index.ts";
export * from "./meta/index.ts";
export * from "./meta-v1/index.ts";
export * from "./networking/index.ts";
export * from "./rbac/index.ts";
export * from "./skiff/index.ts";

/** Every built-in kind. */
export const catalog: readonly Kind[] = [
  binding,
  configMap,
  endpoints,
  event,
  namespace,
  node,
  pod,
  secret,
  service,
  serviceAccount,
  deployment,
  replicaSet,
  scale,
  cronJob,
  job,
  lease,
  endpointSlice,
  eventsEvent,
  ipAddress,
  serviceCidr,
  role,
  roleBinding,
  clusterRole,
  clusterRoleBinding,
  subjectAccessReview,
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  selfSubjectReview,
  tokenRequest,
  tokenReview,
  accessEntry,
  nodePortAllocation,
  podCidrAllocation,
];
