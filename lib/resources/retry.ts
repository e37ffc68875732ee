import type { KubernetesObject } from "#api/meta";
import { conflict, notFound, serverTimeout } from "#base";
import { Conflict, type Entry } from "#store";
import { type Call, kindOf, named } from "./call.ts";
import { keyOf, objectAs } from "./objects.ts";

const attempts = 30;

/** One try to change a stored object. A Conflict holds the entry that another writer has stored meanwhile. */
export type Attempt<T> = (entry: Entry, current: KubernetesObject) => Promise<T | Conflict>;

/**
 * Changes a stored object by compare-and-set: reads it, checks the preconditions of the request, and lets `attempt`
 * write. After a conflict it tries again with the newer entry, 30 times at most. `absent` answers for an object that
 * does not exist; the default throws ApiError 404. Throws ApiError 409 where a precondition does not hold, and 500
 * ServerTimeout when other writers won every time.
 */
export async function retry<T>(
  call: Call,
  verb: "update" | "delete",
  attempt: Attempt<T>,
  absent?: () => Promise<T>,
): Promise<T> {
  const { resources, resource, name } = call;
  let entry = await resources.read(resource.type, keyOf(call.namespace, name));
  for (let count = 1; count <= attempts; count++) {
    if (!entry) {
      if (absent) return absent();
      throw notFound(named(resource.kind), name);
    }
    const current = objectAs(resources, resource, entry);
    if (verb === "delete") checkDeletePreconditions(call, current);
    else checkPreconditions(call, current);
    const result = await attempt(entry, current);
    if (!(result instanceof Conflict)) return result;
    entry = result.entry;
  }
  throw serverTimeout(named(resource.kind), verb, 1);
}

/** Throws ApiError 409 in the words of upstream's `Preconditions.Check`. */
export function checkPreconditions(
  call: Call,
  { metadata }: KubernetesObject,
  asked = call.options.preconditions,
): void {
  const refuse = (field: string, wanted: string, stored: string | undefined) => {
    const why = `Precondition failed: ${field} in precondition: ${wanted}, ${field} in object meta: ${stored ?? ""}`;
    return conflict(named(kindOf(call)), call.name, why);
  };
  const { uid, resourceVersion } = asked;
  if (uid !== undefined && uid !== metadata.uid) throw refuse("UID", uid, metadata.uid);
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw refuse("ResourceVersion", resourceVersion, metadata.resourceVersion);
  }
}

/** Throws ApiError 409 in the words of upstream's `BeforeDelete`. */
function checkDeletePreconditions(call: Call, { metadata }: KubernetesObject): void {
  const { group, kind } = kindOf(call);
  const refuse = (field: string, wanted: string, stored: string | undefined) =>
    conflict(
      { group, resource: kind },
      call.name,
      `the ${field} in the precondition (${wanted}) does not match the ${field} in record (${stored}). ` +
        `The object might have been ${field === "UID" ? "deleted and then recreated" : "modified"}`,
    );
  const { uid, resourceVersion } = call.options.preconditions;
  if (uid !== undefined && uid !== metadata.uid) throw refuse("UID", uid, metadata.uid);
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw refuse("ResourceVersion", resourceVersion, metadata.resourceVersion);
  }
}
