/**
 * Mirrors Endpoints that users write for services without a selector to EndpointSlices (upstream's
 * endpointslicemirroring controller).
 */
import {
  controllerReference,
  type EndpointSlice,
  type Endpoints,
  endpointSlices,
  endpoints as endpointsKind,
  nameErrors,
  type Service,
  services,
} from "#api";
import { clone, deepEqual, hasCause, ignoreNotFound, ignoreReasons } from "#base";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";
import { largest, type Mirrored, mirrorOf } from "./mirror.ts";

const nameLabel = "kubernetes.io/service-name";
const managerLabel = "endpointslice.kubernetes.io/managed-by";
const manager = "endpointslicemirroring-controller.k8s.io";
const skipLabel = "endpointslice.kubernetes.io/skip-mirror";
const electionAnnotation = "control-plane.alpha.kubernetes.io/leader";
/** Annotations that are not mirrored. */
const ownAnnotations = [
  "endpoints.kubernetes.io/last-change-trigger-time",
  "kubectl.kubernetes.io/last-applied-configuration",
];

const nameOf = ({ metadata: { namespace, name } }: Endpoints | Service): Key => ({ namespace, name: name ?? "" });
const hasSelector = (service: Service | undefined): boolean => service?.spec?.selector !== undefined;

export const endpointSliceMirroringController = defineController<Endpoints>({
  name: "endpointslicemirroring",
  component: "endpoint-slice-mirroring-controller",
  watches: [
    watching<Endpoints>(endpointsKind, async ({ object, previous }, { client }) => {
      if (!isMirrored(object) && !(previous && isMirrored(previous))) return [];
      // Most Endpoints are another controller's, of services with a selector.
      const isWritten = object.metadata.labels?.["endpoints.kubernetes.io/managed-by"] === "endpoint-controller";
      if (isWritten && hasSelector(await ignoreNotFound(client.get(services, nameOf(object))))) return [];
      return [nameOf(object)];
    }),
    watching<Service>(services, ({ type, object, previous }) => {
      const changes = previous !== undefined && hasSelector(object) !== hasSelector(previous);
      return changes || (type !== "MODIFIED" && !hasSelector(object)) ? [nameOf(object)] : [];
    }),
    watching<EndpointSlice>(endpointSlices, ({ object, previous }) =>
      [object, ...(previous ? [previous] : [])].flatMap(({ metadata: { namespace, labels = {} } }) =>
        labels[managerLabel] === manager && labels[nameLabel] ? [{ namespace, name: labels[nameLabel] }] : [],
      ),
    ),
  ],
  reconcile,
});

const isMirrored = ({ metadata: { labels = {}, annotations = {} } }: Endpoints): boolean =>
  labels[skipLabel] !== "true" && annotations[electionAnnotation] === undefined;

async function reconcile(context: ControllerContext, key: Key): Promise<void> {
  const { client } = context;
  const [source, service] = await Promise.all([
    ignoreNotFound(client.get(endpointsKind, key)),
    ignoreNotFound(client.get(services, key)),
  ]);
  const labels = [
    { key: nameLabel, operator: "In" as const, values: [key.name] },
    { key: managerLabel, operator: "In" as const, values: [manager] },
  ];
  const there = (await client.list(endpointSlices, { namespace: key.namespace, labels })).items;
  if (!source || !isMirrored(source) || !service || hasSelector(service)) return remove(context, there);
  const { slices, invalid, surplus } = mirrorOf(source);
  report(context, source, { invalid, surplus });
  await agree(context, source, slices, there);
}

async function agree(
  context: ControllerContext,
  source: Endpoints,
  wanted: readonly Mirrored[],
  there: readonly EndpointSlice[],
): Promise<void> {
  const { client } = context;
  const spare = new Set(there);
  const take = (fits: (slice: EndpointSlice) => boolean): EndpointSlice | undefined => {
    const found = [...spare].find(fits);
    if (found) spare.delete(found);
    return found;
  };
  const missing: Mirrored[] = [];
  for (const content of wanted) {
    const { addressType, ports } = content;
    const same = take((slice) => slice.addressType === addressType && deepEqual(slice.ports ?? [], ports));
    if (same) await write(context, source, content, same);
    else missing.push(content);
  }
  for (const content of missing) {
    // A slice that is no longer needed is used again, if its family is the same: it cannot change.
    const used = take(({ addressType }) => addressType === content.addressType);
    if (used) await write(context, source, content, used);
    else if (!source.metadata.deletionTimestamp) await create(client, source, content);
  }
  await remove(context, [...spare]);
}

async function write(
  { client }: ControllerContext,
  source: Endpoints,
  { ports, endpoints }: Mirrored,
  slice: EndpointSlice,
): Promise<void> {
  const next = clone(slice);
  const { labels, annotations, ownerReferences } = metadataOf(source);
  next.metadata.labels = labels;
  if (annotations) next.metadata.annotations = annotations;
  else delete next.metadata.annotations;
  next.metadata.ownerReferences = ownerReferences;
  Object.assign(next, { ports, endpoints });
  if (!deepEqual(next, slice)) await client.update(endpointSlices, next);
}

async function create(
  client: ControllerContext["client"],
  source: Endpoints,
  { addressType, ports, endpoints }: Mirrored,
): Promise<void> {
  const { name = "", namespace } = source.metadata;
  const metadata = { ...metadataOf(source), namespace, generateName: prefixOf(name) };
  const made = { metadata, addressType, ports, endpoints } as EndpointSlice;
  await client.create(endpointSlices, made).catch((error: unknown) => {
    // Nothing more is created in a namespace that ends.
    if (!hasCause(error, "NamespaceTerminating")) throw error;
  });
}

const prefixOf = (name: string): string =>
  nameErrors("dns-subdomain", `${name}-`, true).length === 0 ? `${name}-` : name;

function metadataOf(source: Endpoints) {
  const { labels, annotations = {}, name = "" } = source.metadata;
  const mirrored = Object.entries(annotations).filter(([key]) => !ownAnnotations.includes(key));
  return {
    labels: { ...labels, [nameLabel]: name, [managerLabel]: manager },
    ...(mirrored.length > 0 ? { annotations: Object.fromEntries(mirrored) } : {}),
    ownerReferences: [controllerReference(endpointsKind, source)],
  };
}

function report(
  { record }: ControllerContext,
  object: Endpoints,
  { invalid, surplus }: { invalid: number; surplus: number },
): void {
  const warn = (reason: string, message: string): void =>
    record({ kind: endpointsKind, object }, "Warning", reason, message);
  if (invalid > 0) warn("InvalidIPAddress", `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`);
  if (surplus > 0) {
    const limit = `A max of ${largest} addresses can be mirrored to EndpointSlices per Endpoints subset.`;
    warn("TooManyAddressesToMirror", `${limit} ${invalid + surplus} addresses were skipped`);
  }
}

async function remove({ client }: ControllerContext, slices: readonly EndpointSlice[]): Promise<void> {
  for (const { metadata } of slices) {
    const { namespace, name = "", uid } = metadata;
    await ignoreReasons(["NotFound", "Conflict"], client.delete(endpointSlices, { namespace, name }, { uid }));
  }
}
