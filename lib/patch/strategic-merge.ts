import type { FieldShape, MessageShape, Shape } from "#api/meta";
import { type ApiError, badRequest, type Json, type JsonObject } from "#base";
import { elementType, idsOf, inOrder, type Ordering } from "./list-order.ts";
import { goText } from "./words.ts";

const patchDirective = "$patch";
const retainKeysDirective = "$retainKeys";
const orderPrefix = "$setElementOrder";
const deletePrefix = "$deleteFromPrimitiveList";

/**
 * Strategic merge patch, as apimachinery's pkg/util/strategicpatch: like a merge patch, but lists merge by the key that
 * their field declares, elements of the patch before those that only the object has where nothing else orders them, and
 * the patch may carry directives ($patch, $retainKeys, $setElementOrder/…, $deleteFromPrimitiveList/…). Directives below
 * a list element that is new stay in the result, where a strict decoder finds them. Neither argument is changed.
 *
 * Throws ApiError 400 where a directive or a merge key is malformed, also where upstream answers 500 or panics.
 */
export function strategicMerge(shape: MessageShape, object: JsonObject, patch: JsonObject): JsonObject {
  return mergeMap(shape, object, patch);
}

/** How a list or map below a message merges. */
interface Rule {
  shape: Shape | undefined;
  /** Whether a list merges; other lists are replaced. */
  merge: boolean;
  key: string | undefined;
}

function ruleOf(shape: Shape | undefined, name: string): Rule {
  if (shape?.type === "map") return { shape: shape.value, merge: false, key: undefined };
  const field: FieldShape | undefined = shape?.type === "message" ? shape.fields.get(name) : undefined;
  if (!field) return { shape: undefined, merge: false, key: undefined };
  const { mergeKey, merge } = field.facts;
  return { shape: field.shape, merge: mergeKey !== undefined || merge === true, key: mergeKey };
}

function mergeMap(shape: Shape | undefined, original: JsonObject, patch: JsonObject): JsonObject {
  if (Object.hasOwn(patch, patchDirective)) return directed(patch);
  const result = retained(original, patch);
  const done = mergeOrdered(shape, result, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key === retainKeysDirective || key.startsWith(orderPrefix) || done.has(key)) continue;
    const removes = key.startsWith(deletePrefix);
    const member = removes ? subjectOf(key, deletePrefix, "primitive list") : key;
    mergeMember(ruleOf(shape, member), result, member, value, removes);
  }
  return result;
}

/** A map that carries `$patch`: it replaces what is there, or leaves an empty map. */
function directed(patch: JsonObject): JsonObject {
  const { [patchDirective]: action, ...rest } = patch;
  if (action === "replace") return rest;
  if (action === "delete") return {};
  throw unknownPatchType(action!, patch);
}

const unknownPatchType = (action: Json, map: JsonObject): ApiError =>
  badRequest(`unknown patch type: ${goText(action)} in map: ${goText(map)}`);

/** The member that a directive such as `$setElementOrder/containers` is about. */
function subjectOf(key: string, prefix: string, what: string): string {
  if (!key.startsWith(`${prefix}/`)) throw badRequest(`invalid patch format of ${what}`);
  return key.slice(prefix.length + 1);
}

/** $retainKeys: only the members named there stay; what the patch sets must be among them. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  if (!Object.hasOwn(patch, retainKeysDirective)) return { ...original };
  const keep = patch[retainKeysDirective];
  if (!Array.isArray(keep)) throw badRequest("invalid patch format of retainKeys");
  const kept = new Set(keep);
  for (const [key, value] of Object.entries(patch)) {
    const directive = key === retainKeysDirective || key.startsWith(deletePrefix) || key.startsWith(orderPrefix);
    if (!directive && value !== null && !kept.has(key)) throw badRequest("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => kept.has(key)));
}

function mergeMember(rule: Rule, result: JsonObject, key: string, value: Json, removes: boolean): void {
  if (value === null) {
    delete result[key];
    return;
  }
  const before = Object.hasOwn(result, key) ? result[key]! : null;
  if (isObject(before) && isObject(value)) define(result, key, mergeMap(rule.shape, before, value));
  else if (Array.isArray(before) && Array.isArray(value)) {
    define(result, key, rule.merge || removes ? mergeList(rule, before, value, removes) : value);
  } else if (!removes) {
    const taken = adopted(value);
    if (taken === undefined) delete result[key];
    else define(result, key, taken);
  }
}

const define = (object: JsonObject, key: string, value: Json): void => {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
};

/**
 * A value of the patch without a counterpart in the object: without nulls and without maps with `$patch`; undefined
 * where the value itself is such a map.
 */
function adopted(value: Json): Json | undefined {
  if (Array.isArray(value)) return value.map(adopted).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, patchDirective)) return undefined;
  const result: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    const taken = member === null ? undefined : adopted(member);
    if (taken !== undefined) define(result, key, taken);
  }
  return result;
}

/** A merged list that is not in order yet. */
interface Merged extends Ordering {
  /** What upstream takes for the object's list when `$setElementOrder` orders it: see `mergeParts`. */
  seen: readonly Json[];
}

/** `removes`: the patch lists scalars to take out. */
function mergeList(rule: Rule, original: Json[], patch: Json[], removes = false): Json[] {
  if (original.length === 0 && patch.length === 0) return original;
  if (removes && elementType(original, patch) !== "map") {
    const gone = new Set(patch);
    return original.filter((item) => !gone.has(item));
  }
  return inOrder(mergeParts(rule, original, patch));
}

function mergeParts(rule: Rule, original: Json[], patch: Json[]): Merged {
  const { key } = rule;
  if (elementType(original, patch) !== "map") {
    return { key, merged: [...new Set([...original, ...patch])], order: patch, before: original, seen: original };
  }
  if (key === undefined) throw badRequest(`cannot merge lists without merge key for ${goKindOf(rule.shape)}`);
  const parts = withoutSpecialElements(key, original as JsonObject[], patch as JsonObject[]);
  const merged = mergeElements({ ...rule, key }, parts.original, parts.patch);
  // Upstream deletes and appends in place: in the list that it orders by later, new elements fill the room of deleted ones.
  const seen = parts.replaced ? original : merged.slice(0, original.length);
  return { key, merged, order: parts.patch, before: parts.original, seen };
}

const goKindOf = (shape: Shape | undefined): string =>
  shape?.type === "list" && shape.item.type === "message" ? "struct" : "map";

/** Carries out the elements with `$patch` and takes them out of the patch. */
function withoutSpecialElements(
  key: string,
  original: JsonObject[],
  patch: JsonObject[],
): { original: JsonObject[]; patch: JsonObject[]; replaced?: true } {
  const rest: JsonObject[] = [];
  const gone = new Set<Json>();
  let replaces = false;
  for (const element of patch) {
    const action = Object.hasOwn(element, patchDirective) ? element[patchDirective] : undefined;
    if (action === undefined) rest.push(element);
    else if (action === "delete") gone.add(keyOf(element, key));
    else if (action === "replace") replaces = true;
    else if (action === "merge") throw badRequest("merging lists cannot yet be specified in the patch");
    else throw unknownPatchType(action, element);
  }
  if (replaces) return { original: rest, patch: [], replaced: true };
  if (gone.size === 0) return { original, patch: rest };
  return { original: original.filter((item) => !Object.hasOwn(item, key) || !gone.has(item[key]!)), patch: rest };
}

function mergeElements(rule: Rule & { key: string }, original: JsonObject[], patch: JsonObject[]): JsonObject[] {
  const item = rule.shape?.type === "list" ? rule.shape.item : undefined;
  const result = [...original];
  const places = new Map<Json, number>();
  for (const [index, element] of original.entries()) {
    if (Object.hasOwn(element, rule.key) && !places.has(element[rule.key]!)) places.set(element[rule.key]!, index);
  }
  for (const element of patch) {
    const value = keyOf(element, rule.key);
    const place = places.get(value);
    if (place !== undefined) result[place] = mergeMap(item, result[place]!, element);
    else {
      places.set(value, result.length);
      result.push(element);
    }
  }
  return result;
}

const keyOf = (element: JsonObject, key: string): Json => idsOf(key, [element])[0]!;

/** Merges lists with $setElementOrder and puts them into that order. Returns the names of the merged members. */
function mergeOrdered(shape: Shape | undefined, result: JsonObject, patch: JsonObject): Set<string> {
  const done = new Set<string>();
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(orderPrefix)) continue;
    const key = subjectOf(directive, orderPrefix, "setElementOrder list");
    const asked = listOf(order);
    const before = Object.hasOwn(result, key) ? listOf(result[key]!) : undefined;
    const change = Object.hasOwn(patch, key) ? listOf(patch[key]!) : undefined;
    if (shape?.type === "message" && !shape.fields.has(key)) {
      const owner = shape.name.split(".").at(-1);
      throw badRequest(`unable to find api field in struct ${owner} for the json field "${key}"`);
    }
    const rule = ruleOf(shape, key);
    checkOrder(rule.key, change ?? [], asked);
    if (before === undefined && change === undefined) continue;
    const { merged, seen } = orderable(rule, before, change);
    // Only lists of scalars can be put in order without a key.
    if (elementType(before ?? [], change ?? []) === "map") idsOf(rule.key ?? "", [...merged, ...seen]);
    define(result, key, inOrder({ key: rule.key, merged, order: asked, before: seen }));
    done.add(key);
  }
  return done;
}

/** A list and the order that its own elements have, as `$setElementOrder` finds them. */
function orderable(
  rule: Rule,
  before: Json[] | undefined,
  change: Json[] | undefined,
): { merged: Json[]; seen: readonly Json[] } {
  if (change === undefined) return { merged: before!, seen: before! };
  if (before === undefined) return { merged: adopted(change) as Json[], seen: [] };
  if (!rule.merge) return { merged: change, seen: before };
  if (before.length === 0 && change.length === 0) return { merged: before, seen: before };
  const parts = mergeParts(rule, before, change);
  return { merged: inOrder(parts), seen: parts.seen };
}

function listOf(json: Json): Json[] {
  if (Array.isArray(json)) return json;
  throw badRequest(`expected a []interface {}, but received a ${json === null ? "%!s(<nil>)" : goTypeOf(json)}`);
}

function goTypeOf(json: Json): string {
  if (isObject(json)) return "map[string]interface {}";
  return typeof json === "number" ? "int64" : typeof json;
}

/** What the patch changes must be named in the order, in that order (`validatePatchWithSetOrderList`). */
function checkOrder(key: string | undefined, change: readonly Json[], asked: readonly Json[]): void {
  if (change.length === 0 || asked.length === 0) return;
  const actionOf = (item: Json) => (isObject(item) ? item[patchDirective] : undefined);
  const rest = key === undefined ? change : change.filter((item) => actionOf(item) !== "delete");
  const names = idsOf(key, asked);
  let [at, place] = [0, 0];
  while (at < rest.length && place < names.length) {
    if (actionOf(rest[at]!) !== undefined) at++;
    else if (idsOf(key, [rest[at]!])[0] === names[place++]) at++;
  }
  if (at < rest.length) {
    throw badRequest(
      `The order in patch list:\n${goText([...change])}\n doesn't match ${orderPrefix} list:\n${goText([...asked])}\n`,
    );
  }
}

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);
