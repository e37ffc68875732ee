/**
 * Controllers that were renamed: the name in the keys of earlier versions and the present name. Such keys are still in
 * queues, due rows, timers and dead letters when a new version starts, so no entry is ever removed.
 */
export const formerNames: readonly (readonly [former: string, present: string])[] = [
  ["cluster-role-aggregation", "clusterrole-aggregation"],
  ["cron-job", "cronjob"],
  ["endpoint-slice", "endpointslice"],
  ["expiry", "event-ttl"],
  ["node-health", "node-lifecycle"],
  ["node-ttl", "ttl"],
  ["pod-eviction", "taint-eviction"],
  ["replica-set", "replicaset"],
  ["root-ca", "root-ca-certificate-publisher"],
  ["route", "node-route"],
  ["service-account", "serviceaccount"],
  ["service-account-token", "serviceaccount-token"],
  ["service-allocation", "allocator-repair"],
  ["service-load-balancer", "service-lb"],
];

const presentNames = new Map(formerNames);
const firstNames = new Map(formerNames.map(([former, present]) => [present, former]));

/** The present name of the controller that a key names. */
export const presentName = (controller: string): string => presentNames.get(controller) ?? controller;

/**
 * The name that a controller had first. Hashes over keys use it, so that keys which differ only in the name's version
 * share a message group: two workers never process one key at the same time, even while versions change.
 */
export const firstName = (controller: string): string => firstNames.get(controller) ?? controller;
