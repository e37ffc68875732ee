import {
  apiVersionOf,
  applyDefaults,
  fillZeros,
  type Kind,
  type KubernetesObject,
  type Shape,
  withNulls,
  withoutNulls,
} from "#api/meta";
import { fnv1a, parseJson, stringifyJson } from "#base";
import type { Entry, Index } from "#store";
import type { Resource } from "./registry.ts";
import type { Resources } from "./resources.ts";

/*
 * Between objects and the bytes that the store keeps: JSON without kind and apiVersion, metadata first and in it the
 * resourceVersion first, so that prefixes can be put before a body and a revision be replaced without parsing.
 */

const head = '{"metadata":{"resourceVersion":"';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of an object of a kind as a function of its revision. */
export function bodyOf(kind: Kind, object: KubernetesObject): (revision: number) => Uint8Array {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = withNulls(kind.shape, object);
  const { resourceVersion: _revision, ...others } = metadata;
  const meta = stringifyJson(others);
  const tail = stringifyJson(rest);
  const text = `"${meta === "{}" ? "" : ","}${meta.slice(1)}${tail === "{}" ? "" : ","}${tail.slice(1)}`;
  return (revision) => Buffer.from(`${head}${revision}${text}`);
}

/** The same body at another revision, without parsing it. */
export function atRevision(body: Uint8Array, revision: number): Uint8Array {
  const end = body.indexOf(0x22, head.length);
  return Buffer.concat([encoder.encode(`${head}${revision}`), body.subarray(end)]);
}

/** The object's entry in the store's index. */
export function indexOf(kind: Kind, object: KubernetesObject): Index {
  const { metadata } = object;
  const index: Index = { uid: metadata.uid ?? "" };
  if (metadata.labels && Object.keys(metadata.labels).length > 0) index.labels = metadata.labels;
  if (metadata.ownerReferences?.length) index.owners = metadata.ownerReferences.map(({ uid }) => uid);
  for (const [name, value] of Object.entries(kind.fields ?? {})) {
    const text = value(object);
    if (text === "") continue;
    index.fields ??= {};
    index.fields[name] = text;
  }
  return index;
}

export const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ""}/${name}`;

const parsed = new WeakMap<Entry, WeakRef<KubernetesObject>>();

/**
 * The object of an entry, in the form of its storage kind and of the schema that wrote it. It is shared while it is in
 * memory: never changed, only cloned.
 */
export function objectOf(kind: Kind, entry: Entry): KubernetesObject {
  const known = parsed.get(entry)?.deref();
  if (known) return known;
  const object = parseJson(decoder.decode(entry.body)) as unknown as KubernetesObject;
  withoutNulls(kind.shape, object);
  parsed.set(entry, new WeakRef(object));
  return object;
}

/**
 * The entry's object in the form of its resource: converted, and with today's defaults where another schema has written
 * it.
 */
export function objectAs(resources: Resources, resource: Resource, entry: Entry): KubernetesObject {
  const { kind, storageKind } = resource;
  const object =
    entry.schema === schemaOf(storageKind) ? objectOf(storageKind, entry) : withDefaults(resources, storageKind, entry);
  return kind.stored ? kind.stored.from(structuredClone(object)) : object;
}

/**
 * A copy with today's defaults. An older validation may have accepted values that today's defaults cannot read: such an
 * object is returned as it was written, since a list or a watch must not fail for one object.
 */
function withDefaults(resources: Resources, kind: Kind, entry: Entry): KubernetesObject {
  const older = objectOf(kind, entry);
  const object = structuredClone(older);
  try {
    fillZeros(kind.shape, object);
    applyDefaults(kind.shape, object);
    kind.defaults?.(object);
    return object;
  } catch (error) {
    resources.faults.reportOnce("default", { kind, key: entry.key, what: entry.schema }, error);
    return older;
  }
}

/** The entry's bytes in the form of its resource. Bytes that are stored in that form are not parsed. */
export function bytesAs(resources: Resources, resource: Resource, entry: Entry): Uint8Array {
  if (!resource.kind.stored && entry.schema === schemaOf(resource.storageKind)) return entry.body;
  return bodyOf(resource.kind, objectAs(resources, resource, entry))(entry.revision);
}

/** `{"kind":"…","apiVersion":"…",`: the prefix of a body without its first brace. */
const prefixes = new WeakMap<Kind, Uint8Array>();
export function prefixOf(kind: Kind): Uint8Array {
  let prefix = prefixes.get(kind);
  if (!prefix) {
    prefix = encoder.encode(`{"kind":"${kind.kind}","apiVersion":"${apiVersionOf(kind)}",`);
    prefixes.set(kind, prefix);
  }
  return prefix;
}

/** A stored body with its kind and apiVersion. */
export const served = (kind: Kind, body: Uint8Array): Uint8Array => Buffer.concat([prefixOf(kind), body.subarray(1)]);

/** An object with its kind and apiVersion, as it is in memory. */
export const typed = <T extends KubernetesObject>(kind: Kind, object: T): T =>
  ({ kind: kind.kind, apiVersion: apiVersionOf(kind), ...object }) as T;

/** An object with its kind and apiVersion, as its JSON has it. */
export const worded = <T extends KubernetesObject>(kind: Kind, object: T): T =>
  typed(kind, withNulls(kind.shape, object));

const schemas = new WeakMap<Kind, string>();

/** Names the schema that wrote a body: the kind's version and a hash of its fields and defaults. */
export function schemaOf(kind: Kind): string {
  let schema = schemas.get(kind);
  if (schema === undefined) {
    schema = `${apiVersionOf(kind)}/${kind.kind}#${fingerprint(kind.shape)}`;
    schemas.set(kind, schema);
  }
  return schema;
}

/** A hash over every field, default and zero value below a shape: equal schemas have equal fingerprints. */
function fingerprint(shape: Shape): string {
  let text = "";
  const add = (part: string) => {
    text += part;
  };
  const seen = new Set<Shape>();
  const walk = (at: Shape): void => {
    add(at.type === "scalar" ? at.scalar : at.type);
    if (at.type === "list") walk(at.item);
    else if (at.type === "map") walk(at.value);
    else if (at.type === "message") {
      add(at.name);
      if (seen.has(at)) return;
      seen.add(at);
      for (const [name, field] of at.fields) {
        const { default: value, printed } = field.facts;
        add(`${name}${field.required || printed ? "!" : ""}=${String(value)}`);
        walk(field.shape);
      }
    }
  };
  walk(shape);
  return fnv1a(text).toString(16).padStart(8, "0");
}
