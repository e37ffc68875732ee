/**
 * Gives back cluster IPs and node ports whose service does not use them: what a crash left between taking one and
 * writing the service, or between deleting the service and giving it back (upstream's IP repair).
 */
import {
  ipAddress as addresses,
  type IPAddress,
  type Kind,
  type KubernetesObject,
  type NodePortAllocation,
  nodePortAllocation as ports,
  type Service,
  service as services,
} from "#api";
import { parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";
import { ignoring } from "../ownership.ts";

/** A service that is just being written holds what it took for so long without showing it, at the most. */
const inFlight = 60_000;

export const serviceAllocationController = defineController<Service>({
  name: "service-allocation",
  for: services,
  watches: [
    watching<IPAddress>(addresses, ({ type, object }) => (type === "ADDED" ? holder(object) : [])),
    watching<NodePortAllocation>(ports, ({ type, object }) => (type === "ADDED" ? owner(object) : [])),
  ],
  reconcile,
});

function holder({ spec }: IPAddress): Key[] {
  const parent = spec?.parentRef;
  if (parent?.resource !== services.plural || parent.group) return [];
  return [{ namespace: parent.namespace, name: parent.name }];
}

const owner = ({ spec }: NodePortAllocation): Key[] => (spec ? [{ namespace: spec.namespace, name: spec.name }] : []);

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const takenAddresses = (await client.list(addresses)).items.filter((each) =>
    holder(each).some((at) => isKey(at, key)),
  );
  const takenPorts = (await client.list(ports)).items.filter((each) => owner(each).some((at) => isKey(at, key)));
  // The service is read after what it may hold: what it shows now was taken before.
  const service = await ignoring(["NotFound"], client.get(services, key));
  const used = new Set([
    ...(service?.spec?.clusterIPs ?? []),
    String(service?.spec?.healthCheckNodePort ?? ""),
    ...(service?.spec?.ports ?? []).map(({ nodePort }) => String(nodePort ?? "")),
  ]);
  const waits = [
    ...(await giveBack(context, addresses as Kind, takenAddresses, used)),
    ...(await giveBack(context, ports as Kind, takenPorts, used)),
  ];
  return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
}

const isKey = (a: Key, b: Key): boolean => a.name === b.name && a.namespace === b.namespace;

/** Deletes what is not used and was not taken just now; returns how long to wait for the rest. */
async function giveBack(
  { client, clock }: ControllerContext,
  kind: Kind,
  taken: readonly KubernetesObject[],
  used: ReadonlySet<string>,
): Promise<number[]> {
  const waits: number[] = [];
  for (const { metadata } of taken) {
    const { name = "", uid, creationTimestamp = "" } = metadata;
    if (used.has(name)) continue;
    const left = parseTime(creationTimestamp) + inFlight - clock.now();
    if (left > 0) waits.push(left);
    else await ignoring(["NotFound", "Conflict"], client.remove(kind, { name }, { uid }));
  }
  return waits;
}
