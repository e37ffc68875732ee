import type { Json, JsonObject } from "#base";

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);

/**
 * RFC 7396: members of the patch replace those of the target, null removes, anything but an object replaces whole.
 * Changed objects are sorted by their keys, as Go prints maps.
 */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const before: JsonObject = isObject(target) ? target : {};
  const added = Object.keys(patch).filter((key) => !Object.hasOwn(before, key));
  const result: JsonObject = {};
  for (const key of [...Object.keys(before), ...added].sort()) {
    const isPatched = Object.hasOwn(patch, key);
    if (isPatched && patch[key] === null) continue;
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    const value = isPatched ? mergePatch(old, patch[key]!) : old!;
    if (key !== "__proto__") result[key] = value;
    else Object.defineProperty(result, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return result;
}
