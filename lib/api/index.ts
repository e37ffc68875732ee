/**
 * The API's types: the schemas, types and definitions of every kind, and the catalog that lists them. Nothing here
 * stores, sends or reconciles objects; generic rooms read the definitions and name no kind.
 */

import { deployments, replicaSets } from "./apps/index.ts";
import { selfSubjectReviews, tokenRequests, tokenReviews } from "./authentication/index.ts";
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
} from "./authorization/index.ts";
import { scales } from "./autoscaling/index.ts";
import { cronJobs, jobs } from "./batch/index.ts";
import { certificateSigningRequests } from "./certificates/index.ts";
import { leases } from "./coordination/index.ts";
import {
  bindings,
  configMaps,
  endpoints,
  events,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
  services,
} from "./core/index.ts";
import { endpointSlices } from "./discovery/index.ts";
import { eventsEvents } from "./events/index.ts";
import type { Kind } from "./meta/index.ts";
import { usageKinds } from "./metrics/index.ts";
import { ipAddresses, serviceCidrs } from "./networking/index.ts";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "./rbac/index.ts";
import { accessEntries, nodePortAllocations, podCidrAllocations } from "./skiff/index.ts";
import { csiDrivers, csiNodes } from "./storage/index.ts";

export * from "./apps/index.ts";
export * from "./authentication/index.ts";
export * from "./authorization/index.ts";
export * from "./autoscaling/index.ts";
export * from "./batch/index.ts";
export * from "./certificates/index.ts";
export * from "./coordination/index.ts";
export * from "./core/index.ts";
export * from "./discovery/index.ts";
export * from "./events/index.ts";
export * from "./meta/index.ts";
export * from "./meta-v1/index.ts";
export * from "./metrics/index.ts";
export * from "./networking/index.ts";
export * from "./rbac/index.ts";
export * from "./skiff/index.ts";
export * from "./storage/index.ts";

/** Every built-in kind. */
export const catalog: readonly Kind[] = [
  bindings,
  configMaps,
  endpoints,
  events,
  namespaces,
  nodes,
  pods,
  secrets,
  services,
  serviceAccounts,
  deployments,
  replicaSets,
  scales,
  cronJobs,
  jobs,
  certificateSigningRequests,
  leases,
  endpointSlices,
  eventsEvents,
  ipAddresses,
  serviceCidrs,
  roles,
  roleBindings,
  clusterRoles,
  clusterRoleBindings,
  csiDrivers,
  csiNodes,
  subjectAccessReviews,
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  selfSubjectReviews,
  tokenRequests,
  tokenReviews,
  accessEntries,
  nodePortAllocations,
  podCidrAllocations,
  ...usageKinds,
];
