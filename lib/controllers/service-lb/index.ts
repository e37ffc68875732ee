/**
 * Creates and deletes load balancers of the cloud for services of type LoadBalancer (upstream's service-lb controller).
 * Services with a class belong to other controllers. Without a cloud services stay pending, as upstream.
 */
import { type Node, nodes, type Service, services } from "#api";
import { deepEqual, ignoreNotFound, messageOf } from "#base";
import { type Cloud, Refused } from "#cloud";
import {
  type Controller,
  type ControllerContext,
  defineController,
  type Key,
  type ObjectEvent,
  type Result,
  RetryAfter,
  Terminal,
  watching,
} from "#reconcile";
import { instancesOf, readiness } from "../cloud-nodes.ts";
import { balancerOf, isEligible } from "./balancer.ts";

/** Upstream's finalizer, known from other clusters. */
const finalizer = "service.kubernetes.io/load-balancer-cleanup";
/** Milliseconds between checks: load balancers take minutes to be created and deleted. */
const provisioningInterval = 15_000;
const deletionInterval = 15_000;

export function serviceLbController(cloud?: Cloud): Controller<Service> {
  return defineController<Service>({
    name: "service-lb",
    component: "service-controller",
    for: services,
    concerns: (seen) => cloud !== undefined && concerns(seen),
    watches: cloud ? [watching<Node>(nodes, affected)] : [],
    reconcile: async (context, key) => (cloud ? reconcile(context, key, cloud) : undefined),
  });
}

const wants = ({ spec }: Service): boolean => spec?.type === "LoadBalancer" && spec.loadBalancerClass === undefined;
const isHeld = ({ metadata }: Service): boolean => metadata.finalizers?.includes(finalizer) ?? false;

/** Leaves out changes of the status alone, which this controller mostly makes itself. */
function concerns({ type, object, previous }: ObjectEvent<Service>): boolean {
  if (!wants(object) && !isHeld(object) && !(previous && (wants(previous) || isHeld(previous)))) return false;
  if (type !== "MODIFIED" || !previous) return true;
  const facts = ({ metadata, spec }: Service) => [spec, metadata.annotations, metadata.deletionTimestamp, metadata.uid];
  return (isHeld(previous) && !isHeld(object)) || !deepEqual(facts(object), facts(previous));
}

/**
 * All services with a load balancer, when a node starts or stops accepting traffic, or its instance may have stopped or
 * started.
 */
async function affected(
  { type, object, previous }: ObjectEvent<Node>,
  { client }: ControllerContext,
): Promise<Iterable<Key>> {
  const isSame = previous && isEligible(object) === isEligible(previous) && readiness(object) === readiness(previous);
  if (type === "MODIFIED" && isSame) return [];
  const { items } = await client.list(services, {
    fields: [{ field: "spec.type", equal: true, value: "LoadBalancer" }],
  });
  return items.filter(wants).map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name ?? "" }));
}

async function reconcile(context: ControllerContext, key: Key, cloud: Cloud): Promise<Result | undefined> {
  const service = await ignoreNotFound(context.client.get(services, key));
  if (!service) return removeOthers(key, undefined, cloud);
  if (service.metadata.deletionTimestamp || service.spec?.type !== "LoadBalancer") {
    return isHeld(service) ? remove(context, service, cloud) : undefined;
  }
  return wants(service) ? ensure(context, service, cloud) : undefined;
}

const aboutOf = (service: Service) => ({ kind: services, object: service }) as never;

async function ensure(context: ControllerContext, seen: Service, cloud: Cloud): Promise<Result | undefined> {
  const { record } = context;
  if (!isHeld(seen)) {
    record(aboutOf(seen), "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
    // A service whose finalizer was removed by a client has left its load balancer behind.
    const others = await removeOthers(keyOf(seen), seen.metadata.uid, cloud);
    if (others) return others;
  }
  const service = await hold(context, seen);
  try {
    return await balance(context, service, cloud);
  } catch (error) {
    if (error instanceof RetryAfter) throw error;
    const message = `failed to ensure load balancer: ${messageOf(error)}`;
    record(aboutOf(service), "Warning", "SyncLoadBalancerFailed", `Error syncing load balancer: ${message}`);
    if (error instanceof Refused) throw new Terminal(message, { cause: error });
    throw error;
  }
}

const keyOf = ({ metadata: { namespace, name = "" } }: Service): Key => ({ namespace, name });

/** Adds the finalizer before anything is created, so that the service cannot be deleted without its load balancer. */
async function hold({ client }: ControllerContext, service: Service): Promise<Service> {
  if (isHeld(service)) return service;
  const { uid, resourceVersion, finalizers = [] } = service.metadata;
  const patch = { metadata: { uid, resourceVersion, finalizers: [...finalizers, finalizer] } };
  return client.patch(services, keyOf(service), patch, { type: "merge" });
}

async function balance(context: ControllerContext, service: Service, cloud: Cloud): Promise<Result | undefined> {
  const { client, record } = context;
  const eligible = (await client.list(nodes)).items.filter(isEligible);
  const { found, recheckAfter } = await instancesOf(context, cloud, eligible);
  const names = [...found.keys()].sort();
  if (names.length === 0) {
    const message = "There are no available nodes for LoadBalancer";
    record(aboutOf(service), "Warning", "UnAvailableLoadBalancer", message);
  }
  const { state, ingress, changed } = await cloud.ensureLoadBalancer(balancerOf(service, names));
  if (state === "provisioning") {
    await publish(context, service, []);
    return { requeueAfter: provisioningInterval };
  }
  const isNews = await publish(context, service, ingress);
  if (isNews || changed === "balancer") {
    record(aboutOf(service), "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
  } else if (changed === "nodes" && names.length > 0) {
    record(aboutOf(service), "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts");
  }
  return recheckAfter === undefined ? undefined : { requeueAfter: recheckAfter };
}

/**
 * Publishes the address of the load balancer once it is active: a name that is looked up too early is cached as
 * missing.
 */
async function publish(
  { client }: ControllerContext,
  service: Service,
  ingress: readonly { hostname?: string; ip?: string }[],
): Promise<boolean> {
  const published = (service.status?.loadBalancer?.ingress ?? []).map(({ hostname, ip }) => ({ hostname, ip }));
  if (
    deepEqual(
      published,
      ingress.map(({ hostname, ip }) => ({ hostname, ip })),
    )
  )
    return false;
  const patch = { metadata: { uid: service.metadata.uid }, status: { loadBalancer: { ingress } } };
  await client.patch(services, keyOf(service), patch, { type: "merge", subresource: "status" });
  return true;
}

async function remove(context: ControllerContext, service: Service, cloud: Cloud): Promise<Result | undefined> {
  const { client, record } = context;
  const { uid = "", resourceVersion, finalizers = [] } = service.metadata;
  const state = await cloud.removeLoadBalancer(uid).catch((error: unknown) => {
    if (!(error instanceof RetryAfter)) {
      const message = `failed to delete load balancer: ${messageOf(error)}`;
      record(aboutOf(service), "Warning", "SyncLoadBalancerFailed", `Error syncing load balancer: ${message}`);
    }
    throw error;
  });
  if (state === "going") {
    record(aboutOf(service), "Normal", "DeletingLoadBalancer", "Deleting load balancer");
    await ignoreNotFound(publish(context, service, []));
    return { requeueAfter: deletionInterval };
  }
  const changed = await ignoreNotFound(publish(context, service, []));
  const kept = finalizers.filter((name) => name !== finalizer);
  // The update of the status has changed the version, on which the removal of the finalizer does not depend.
  const version = changed ? {} : { resourceVersion };
  const patch = { metadata: { uid, ...version, finalizers: kept } };
  await ignoreNotFound(client.patch(services, keyOf(service), patch, { type: "merge" }));
  record(aboutOf(service), "Normal", "DeletedLoadBalancer", "Deleted load balancer");
  return undefined;
}

/** Removes load balancers of deleted services with this name. Resolves with when to check again. */
async function removeOthers(key: Key, uid: string | undefined, cloud: Cloud): Promise<Result | undefined> {
  let going = false;
  for (const one of await cloud.loadBalancers()) {
    if (one.namespace !== key.namespace || one.name !== key.name || one.uid === uid) continue;
    going = (await cloud.removeLoadBalancer(one.uid)) === "going" || going;
  }
  return going ? { requeueAfter: deletionInterval } : undefined;
}
