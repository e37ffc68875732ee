import type { Kind, KubernetesObject } from "#api";
import { clone, deepEqual, ignoreNotFound, ignoreReasons } from "#base";
import type { Client } from "#client";

/** Creates an object, or corrects the given fields of an existing one. */
export async function ensure<T extends KubernetesObject>(client: Client, kind: Kind<T>, wanted: T): Promise<void> {
  const { namespace, name = "" } = wanted.metadata;
  const there = await ignoreNotFound(client.get(kind, { namespace, name }));
  if (!there) {
    await ignoreReasons(["AlreadyExists"], client.create(kind, clone(wanted)));
    return;
  }
  const next = clone(there) as Record<string, unknown>;
  for (const [member, value] of Object.entries(wanted)) {
    if (member === "metadata") continue;
    const isStruct = typeof value === "object" && value !== null && !Array.isArray(value);
    next[member] = isStruct ? { ...(next[member] as object), ...value } : value;
  }
  if (!deepEqual(next, there)) await client.update(kind, next as unknown as T);
}
