import type { Kind } from "#api/meta";
import { isReason } from "#base";
import { find, kindOf, type Removed, removedStatus, removeObject, warn } from "#resources";
import { checkMetadataForm, formatOf, objectAnswer, statusAnswer } from "../answer.ts";
import { listAnswer } from "../list-answer.ts";
import { listParameters, selectionOf } from "../list-options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";
import { listMetadata } from "./list.ts";

/** DELETE of one object. */
export async function remove(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const removed = await removeObject(call);
  const kind = kindOf(call);
  warn(call, deleteWarnings(kind, call));
  if (removed.gone && !kind.deleteReturnsObject) return statusAnswer(200, removedStatus(kind, removed.object), request);
  // Upstream's rule: accepted where the client has asked for background deletion by the older option.
  const accepted = !removed.gone && call.options.deletion.cascades;
  return objectAnswer(call, request, accepted ? 202 : 200, removed.gone ? { object: removed.object } : removed);
}

const deleteWarnings = ({ deleteWarning }: Kind, { options }: RequestScope): string[] =>
  deleteWarning !== undefined && options.deletion.propagation === undefined ? [deleteWarning] : [];

/** Deletes of a collection that run concurrently. */
const concurrency = 32;

/** DELETE of a collection: each selected object by itself, in the order of keys. Answers with what was deleted. */
export async function removeCollection(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { resources, resource } = call;
  const format = formatOf(request);
  checkMetadataForm(format, resource.kind, true);
  const selection = selectionOf(resource.kind, call.namespace, request.query);
  const parameters = listParameters(request.query, selection.prefix);
  const found = await find(resources, { type: resource.type, selection, parameters, signal: request.signal });
  const removed: (Removed | undefined)[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < found.entries.length; at = next++) {
      const { key } = found.entries[at]!;
      const slash = key.indexOf("/");
      removed[at] = await removeOne({ ...call, namespace: key.slice(0, slash), name: key.slice(slash + 1) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const objects = removed.flatMap((one) => (one ? [one.object] : []));
  warn(call, deleteWarnings(resource.kind, call));
  return listAnswer(call, request, format, listMetadata(found), objects);
}

/** Undefined where another client has deleted the object meanwhile. */
async function removeOne(call: RequestScope): Promise<Removed | undefined> {
  try {
    return await removeObject(call);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
