import type { FieldShape, MessageShape, Shape } from "#api/meta";
import { badRequest, clone, deepEqual, type Json, type JsonObject } from "#base";

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);

const directive = {
  patch: "$patch",
  retainKeys: "$retainKeys",
  order: "$setElementOrder/",
  remove: "$deleteFromPrimitiveList/",
};
const isDirective = (key: string): boolean => key.startsWith("$");

/**
 * Strategic merge patch: as a merge patch, but lists of messages merge by the key that their field declares, and the
 * patch may carry directives ($patch, $retainKeys, $setElementOrder/…, $deleteFromPrimitiveList/…). Neither argument
 * is changed. Throws ApiError 400 where a directive or a merge key is malformed.
 */
export function strategicMerge(shape: MessageShape, object: JsonObject, patch: JsonObject): JsonObject {
  return mergeMap(shape, object, patch);
}

/** How a list or map below a message merges. */
interface Rule {
  shape: Shape | undefined;
  merge: boolean;
  key: string | undefined;
}

function ruleOf(shape: Shape | undefined, name: string): Rule {
  if (shape?.type === "map") return { shape: shape.value, merge: true, key: undefined };
  const field: FieldShape | undefined = shape?.type === "message" ? shape.fields.get(name) : undefined;
  if (!field) return { shape: undefined, merge: false, key: undefined };
  const { mergeKey, merge } = field.facts;
  return { shape: field.shape, merge: mergeKey !== undefined || merge === true, key: mergeKey };
}

const itemOf = (shape: Shape | undefined): Shape | undefined => (shape?.type === "list" ? shape.item : undefined);

function mergeMap(shape: Shape | undefined, original: JsonObject, patch: JsonObject): JsonObject {
  const action = patch[directive.patch];
  if (action === "replace") return withoutDirectives(omit(patch, directive.patch)) as JsonObject;
  if (action === "delete") return {};
  if (action !== undefined && action !== "merge") throw badRequest(`unknown patch type: ${String(action)}`);
  const result = retained(original, patch);
  const done = mergeOrdered(shape, result, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(directive.remove)) removeScalars(result, key.slice(directive.remove.length), value);
    else if (!isDirective(key) && !done.has(key)) mergeMember(shape, result, key, value);
  }
  return result;
}

/** $retainKeys: only the members named there stay; what the patch sets must be among them. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const keep = patch[directive.retainKeys];
  if (keep === undefined) return { ...original };
  const bad = () => badRequest("invalid patch format of retainKeys");
  if (!Array.isArray(keep) || keep.some((key) => typeof key !== "string")) throw bad();
  for (const key of Object.keys(patch)) {
    if (!isDirective(key) && patch[key] !== null && !keep.includes(key)) throw bad();
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => keep.includes(key)));
}

function mergeMember(shape: Shape | undefined, result: JsonObject, key: string, value: Json): void {
  if (value === null) {
    delete result[key];
    return;
  }
  const before = Object.hasOwn(result, key) ? result[key] : undefined;
  const rule = ruleOf(shape, key);
  define(result, key, mergeValue(rule, before, value));
}

function mergeValue(rule: Rule, before: Json | undefined, value: Json): Json {
  if (isObject(value)) {
    if (isObject(before)) return mergeMap(rule.shape, before, value);
    // Nothing to merge with: the patch is the value, and a deletion leaves an empty one.
    return mergeMap(rule.shape, {}, value);
  }
  if (Array.isArray(value)) {
    if (!rule.merge) return withoutDirectives(value);
    return mergeList(rule, Array.isArray(before) ? before : [], value);
  }
  return value;
}

const define = (object: JsonObject, key: string, value: Json): void => {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
};

function removeScalars(result: JsonObject, key: string, values: Json): void {
  if (!Array.isArray(values) || values.some((item) => typeof item === "object")) {
    throw badRequest("invalid patch format of primitive list");
  }
  const before = result[key];
  if (Array.isArray(before)) result[key] = before.filter((item) => !values.includes(item));
}

function mergeList(rule: Rule, original: Json[], patch: Json[]): Json[] {
  const objects = patch.some(isObject) || original.some(isObject);
  if (!objects) return uniq([...original, ...patch]);
  const { key } = rule;
  if (key === undefined) throw badRequest("cannot merge lists without merge key");
  const item = itemOf(rule.shape);
  let result = [...original];
  const rest: JsonObject[] = [];
  for (const element of patch) {
    if (!isObject(element)) throw badRequest("invalid list element in a strategic merge patch");
    const action = element[directive.patch];
    if (action === "replace") return patch.filter((other) => other !== element).map(withoutDirectives);
    if (action !== "delete") {
      rest.push(element);
      continue;
    }
    const value = keyValue(element, key);
    result = result.filter((other) => !isObject(other) || !deepEqual(other[key], value));
  }
  for (const element of rest) {
    const value = keyValue(element, key);
    const index = result.findIndex((other) => isObject(other) && deepEqual(other[key], value));
    if (index < 0) result.push(mergeMap(item, {}, element));
    else result[index] = mergeMap(item, result[index] as JsonObject, element);
  }
  return result;
}

function keyValue(element: JsonObject, key: string): Json {
  const value = element[key];
  if (value === undefined)
    throw badRequest(`map: ${JSON.stringify(element)} does not contain declared merge key: ${key}`);
  return value;
}

const uniq = (items: Json[]): Json[] => items.filter((item, index) => items.indexOf(item) === index);

/** Lists that carry $setElementOrder: merged, then put into the asked order. Returns the members that are done. */
function mergeOrdered(shape: Shape | undefined, result: JsonObject, patch: JsonObject): Set<string> {
  const done = new Set<string>();
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(directive.order)) continue;
    const key = name.slice(directive.order.length);
    if (!Array.isArray(order)) throw badRequest("invalid patch format of setElementOrder list");
    const rule = ruleOf(shape, key);
    const before = Array.isArray(result[key]) ? (result[key] as Json[]) : undefined;
    const change = patch[key];
    if (change === null || (before === undefined && change === undefined)) continue;
    if (change !== undefined && !Array.isArray(change))
      throw badRequest("invalid patch format of setElementOrder list");
    checkOrder(rule.key, change ?? [], order);
    const removed = patch[`${directive.remove}${key}`];
    if (removed !== undefined) removeScalars(result, key, removed);
    const base = Array.isArray(result[key]) ? (result[key] as Json[]) : [];
    const merged = change === undefined ? base : mergeList(rule, base, change);
    result[key] = inOrder(rule.key, merged, order, before ?? []);
    done.add(key);
  }
  return done;
}

const identity = (key: string | undefined, item: Json): Json | undefined =>
  key === undefined || !isObject(item) ? item : item[key];

const positionIn = (key: string | undefined, list: readonly Json[], item: Json): number => {
  const id = identity(key, item);
  return list.findIndex((other) => deepEqual(identity(key, other), id));
};

/** What the patch changes must be named in the order, in that order. */
function checkOrder(key: string | undefined, change: readonly Json[], order: readonly Json[]): void {
  let last = -1;
  for (const item of change) {
    if (isObject(item) && item[directive.patch] !== undefined) continue;
    const position = positionIn(key, order, item);
    if (position < last) {
      throw badRequest("The order in patch list doesn't match $setElementOrder list");
    }
    last = position;
  }
}

/**
 * Items that the order names come in that order. The others stand where they stood: each goes before the first named
 * item that the list had behind it.
 */
function inOrder(
  key: string | undefined,
  merged: readonly Json[],
  order: readonly Json[],
  before: readonly Json[],
): Json[] {
  const at = (list: readonly Json[], item: Json) => positionIn(key, list, item);
  const named = merged.filter((item) => at(order, item) >= 0).sort((a, b) => at(order, a) - at(order, b));
  const others = merged.filter((item) => at(order, item) < 0).sort((a, b) => at(before, a) - at(before, b));
  const result: Json[] = [];
  while (named.length > 0 && others.length > 0) {
    const [left, right] = [at(before, others[0]!), at(before, named[0]!)];
    result.push(left >= 0 && right >= 0 && left < right ? others.shift()! : named.shift()!);
  }
  return [...result, ...named, ...others];
}

const omit = (object: JsonObject, key: string): JsonObject => {
  const { [key]: _left, ...rest } = object;
  return rest;
};

/** A value of the patch that is taken as it is: without directives and nulls, and without elements marked for deletion. */
function withoutDirectives(value: Json): Json {
  if (Array.isArray(value)) {
    return value.filter((item) => !(isObject(item) && item[directive.patch] !== undefined)).map(withoutDirectives);
  }
  if (!isObject(value)) return clone(value);
  const result: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    if (!isDirective(key) && member !== null) define(result, key, withoutDirectives(member));
  }
  return result;
}
