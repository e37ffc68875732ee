import type { Endpoint, EndpointSlice } from "#api";
import { deepEqual } from "#base";

/** The most endpoints in one slice. */
export const largest = 100;

export type Ports = NonNullable<EndpointSlice["ports"]>;

/** The endpoints of the pods that serve the same ports. */
export interface Wanted {
  ports: Ports;
  endpoints: readonly Endpoint[];
}

/** The planned content of a slice. `slice` is absent where a new one is created. */
export interface Content extends Wanted {
  slice?: EndpointSlice;
}

export interface Plan {
  write: Content[];
  remove: EndpointSlice[];
}

const uidOf = ({ targetRef }: Endpoint): string => targetRef?.uid ?? "";

/**
 * Plans the writes that bring slices to the desired endpoints, with as few writes as possible, as upstream's reconciler
 * does: an endpoint stays in its slice, new ones go to slices that change anyway, and slices that are no longer needed
 * are reused before they are deleted.
 */
export function plan(wanted: readonly Wanted[], there: readonly EndpointSlice[], isSound: Check): Plan {
  const write: Content[] = [];
  const spare = new Set(there);
  const missing: Wanted[] = [];
  for (const group of wanted) {
    const same = there.filter((slice) => spare.has(slice) && deepEqual(slice.ports ?? [], group.ports));
    const { contents, left } = distribute(group, same);
    for (const content of contents) {
      spare.delete(content.slice);
      const stays = deepEqual(content.slice.endpoints ?? [], content.endpoints) && isSound(content.slice);
      if (!stays) write.push(content);
    }
    for (let at = 0; at < left.length; at += largest) {
      missing.push({ ports: group.ports, endpoints: left.slice(at, at + largest) });
    }
    // A group without endpoints has one empty slice.
    if (group.endpoints.length === 0 && contents.length === 0) missing.push(group);
  }
  const remove = [...spare];
  for (const content of missing) {
    const slice = remove.shift();
    if (!slice) write.push(content);
    else if (!isSame(slice, content) || !isSound(slice)) write.push({ ...content, slice });
  }
  return { write, remove };
}

type Check = (slice: EndpointSlice) => boolean;

const isSame = (slice: EndpointSlice, { ports, endpoints }: Wanted): boolean =>
  deepEqual(slice.ports ?? [], ports) && deepEqual(slice.endpoints ?? [], endpoints);

interface Filled extends Content {
  slice: EndpointSlice;
  endpoints: Endpoint[];
}

/** Distributes the endpoints of a group over its slices; `left` are those without room. Empty slices are dropped. */
function distribute({ ports, endpoints }: Wanted, slices: readonly EndpointSlice[]) {
  const waiting = new Map(endpoints.map((endpoint) => [uidOf(endpoint), endpoint]));
  const filled = slices.map((slice): Filled & { changes: boolean } => {
    const kept = (slice.endpoints ?? []).slice(0, largest).flatMap((endpoint) => {
      const now = waiting.get(uidOf(endpoint));
      waiting.delete(uidOf(endpoint));
      return now ? [now] : [];
    });
    return { slice, ports, endpoints: kept, changes: !deepEqual(kept, slice.endpoints ?? []) };
  });
  const left = [...waiting.values()];
  const fullestFirst = (a: Filled, b: Filled) => b.endpoints.length - a.endpoints.length;
  for (const content of filled
    .filter(({ changes, endpoints: kept }) => changes && kept.length > 0)
    .sort(fullestFirst)) {
    content.endpoints.push(...left.splice(0, largest - content.endpoints.length));
  }
  // The rest is added to one slice with room, not in parts to several.
  const rest = left.length % largest;
  const fit = rest > 0 && filled.filter(({ endpoints: kept }) => kept.length + rest <= largest).sort(fullestFirst)[0];
  if (fit) fit.endpoints.push(...left.splice(left.length - rest));
  return { contents: filled.filter(({ endpoints: kept }) => kept.length > 0), left };
}
