import { ApiError, badRequest, type Json, type JsonObject } from "#base";
import { goText } from "./words.ts";

/** What to order: `merged` holds elements of the patch and of the object; `key` is absent for scalars. */
export interface Ordering {
  key: string | undefined;
  merged: readonly Json[];
  /** The order of the elements that it names. */
  order: readonly Json[];
  /** The object's list before the patch: the order of all other elements. */
  before: readonly Json[];
}

/**
 * Upstream's `normalizeElementOrder`: elements that the patch names come in its order, and the others in the object's.
 * Another element is put before the first named one that followed it in the object; a named one that the object did not
 * have comes first.
 */
export function inOrder({ key, merged, order, before }: Ordering): Json[] {
  const ids = idsOf(key, merged);
  const asked = placesOf(idsOf(key, order));
  const stood = placesOf(key === undefined ? before : before.map((item) => (item as JsonObject)[key] ?? null));
  const all = merged.map((item, index) => ({ item, id: ids[index]! }));
  const named = sorted(
    all.filter(({ id }) => asked.has(id)),
    asked,
  );
  const others = sorted(
    all.filter(({ id }) => !asked.has(id)),
    stood,
  );
  const result: Json[] = [];
  let [left, right] = [0, 0];
  while (left < others.length && right < named.length) {
    const other = stood.get(others[left]!.id);
    const next = stood.get(named[right]!.id);
    const first = other !== undefined && next !== undefined && other < next;
    result.push(first ? others[left++]!.item : named[right++]!.item);
  }
  const rest = [...others.slice(left), ...named.slice(right)];
  return [...result, ...rest.map(({ item }) => item)];
}

interface Element {
  item: Json;
  id: Json;
}

/** Sorts by position. Elements without one follow those with one; upstream's sort moves them to the front. */
function sorted(elements: readonly Element[], places: ReadonlyMap<Json, number>): Element[] {
  const known = elements.filter(({ id }) => places.has(id)).sort((a, b) => places.get(a.id)! - places.get(b.id)!);
  const unknown = elements.filter(({ id }) => !places.has(id)).reverse();
  return [...unknown, ...known];
}

/** The first position of each id. */
function placesOf(ids: readonly Json[]): Map<Json, number> {
  const places = new Map<Json, number>();
  for (const [index, id] of ids.entries()) if (!places.has(id)) places.set(id, index);
  return places;
}

/**
 * The identity of an element: the value of the merge key, or a scalar itself. Throws ApiError 400 where it is missing.
 */
export function idsOf(key: string | undefined, items: readonly Json[]): Json[] {
  return items.map((item) => {
    const id = key === undefined ? item : memberOf(item, key);
    if (typeof id === "object" && id !== null) throw badRequest(`comparing uncomparable values: ${goText(id)}`);
    return id;
  });
}

function memberOf(item: Json, key: string): Json {
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    throw badRequest(`expected a map[string]interface {}, but received a ${item === null ? "nil" : typeof item}`);
  }
  if (!Object.hasOwn(item, key)) throw badRequest(`map: ${goText(item)} does not contain declared merge key: ${key}`);
  return item[key]!;
}

/** The one type that all elements have (`sliceElementType`). Throws ApiError 400 where they differ or none is there. */
export function elementType(original: readonly Json[], patch: readonly Json[]): string {
  const elements = [...original, ...patch];
  if (Array.isArray(elements[0])) throw new ApiError(422, "Invalid", noListOfLists);
  const types = new Set(elements.map(typeName));
  if (types.size === 0) throw badRequest("no elements in any of the given slices");
  if (types.size > 1 || types.has("nil")) {
    throw badRequest(`list element types are not identical: ${goText([[...original], [...patch]])}`);
  }
  return [...types][0]!;
}

/** ErrNoListOfLists as the client sees it. */
const noListOfLists = "the server rejected our request due to an error in our request";

function typeName(json: Json): string {
  if (json === null) return "nil";
  if (Array.isArray(json)) return "list";
  if (typeof json === "object") return "map";
  if (typeof json === "number") return Number.isInteger(json) ? "int64" : "float64";
  return typeof json === "bigint" ? "int64" : typeof json;
}
