import {
  findCondition,
  hasEnded,
  matches,
  type Pod,
  pods,
  requirementsOf,
  type Service,
  type ServicePort,
  services,
} from "#api";
import { deepEqual } from "#base";
import type { Client } from "#client";
import type { Key, ObjectEvent } from "#reconcile";

/** A port of a service, resolved for one pod. */
export interface ResolvedPort {
  name: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

/** The pods that a service selects and that have an address. */
export async function podsOf(client: Client, service: Service): Promise<Pod[]> {
  const { namespace } = service.metadata;
  const labels = requirementsOf({ matchLabels: service.spec?.selector ?? {} });
  const { items } = await client.list(pods, { namespace, labels });
  return items.filter((pod) => pod.status?.podIP && !hasEnded(pod));
}

/** The ports of a service on a pod. As upstream, a named port that the pod does not have is left out. */
export function portsOn(service: Service, pod: Pod): ResolvedPort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetOf(port, pod);
    if (number === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function targetOf({ targetPort, port, protocol = "TCP" }: ServicePort, pod: Pod): number | undefined {
  if (targetPort === undefined || targetPort === 0 || targetPort === "") return port;
  if (typeof targetPort === "number") return targetPort;
  const restartable = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...(pod.spec?.containers ?? []), ...restartable]) {
    const found = container.ports?.find((each) => each.name === targetPort && (each.protocol ?? "TCP") === protocol);
    if (found) return found.containerPort;
  }
  return undefined;
}

/** The services that a change of a pod concerns: those that select it now or did before. */
export async function servicesOfPod(client: Client, { type, object, previous }: ObjectEvent<Pod>): Promise<Key[]> {
  if (type === "MODIFIED" && previous && !concernsEndpoints(object, previous)) return [];
  const { namespace } = object.metadata;
  const { items } = await client.list(services, { namespace });
  const selects = (service: Service, pod: Pod | undefined): boolean =>
    pod !== undefined && matches(requirementsOf({ matchLabels: service.spec?.selector ?? {} }), pod.metadata.labels);
  return items
    .filter(({ spec }) => Object.keys(spec?.selector ?? {}).length > 0)
    .filter((service) => selects(service, object) || selects(service, previous))
    .map(({ metadata }) => ({ namespace, name: metadata.name ?? "" }));
}

const concernsEndpoints = (now: Pod, before: Pod): boolean => !deepEqual(relevant(now), relevant(before));

const relevant = ({ metadata, spec, status }: Pod) => ({
  labels: metadata.labels,
  deleted: metadata.deletionTimestamp,
  node: spec?.nodeName,
  hostname: spec?.hostname,
  subdomain: spec?.subdomain,
  phase: status?.phase,
  ips: status?.podIPs,
  ready: findCondition(status?.conditions, "Ready")?.status,
});

export const targetRef = ({ metadata }: Pod) => ({
  kind: pods.kind,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  name: metadata.name ?? "",
  uid: metadata.uid ?? "",
});
