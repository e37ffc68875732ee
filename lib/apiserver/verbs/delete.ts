import { decode, type Kind, messageShapeOf } from "#api/meta";
import { DeleteOptions } from "#api/meta-v1";
import { badRequest, isReason } from "#base";
import { bodyTypes, mediaTypeOf, protobuf, readText } from "#wire";
import { checkMetadataForm, formatOf, objectAnswer, statusAnswer } from "../answer.ts";
import { type DeleteBody, type RemoveOptions, removeOptions } from "../options.ts";
import { type Removed, removedStatus, removeObject } from "../remove.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { selectionOf } from "../selection.ts";
import { type Call, kindOf, warn } from "../server.ts";
import { find, listAnswer, listMetadata, listParameters } from "./list.ts";

async function optionsOf(request: ApiRequest): Promise<ReturnType<typeof removeOptions>> {
  const body = await request.body();
  return removeOptions(
    body.length === 0 ? undefined : await deleteBody(body, request.headers["content-type"]),
    request.query,
  );
}

async function deleteBody(body: Uint8Array, contentType: string | undefined): Promise<DeleteBody> {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === bodyTypes.protobuf) {
    const { decodeEnvelope } = await protobuf();
    return decodeEnvelope(body).decode(messageShapeOf(DeleteOptions)) as DeleteBody;
  }
  const raw = await readText(body, mediaType, false);
  if (raw.kind !== "" && raw.kind !== "DeleteOptions") {
    throw badRequest(`decoded object cannot be converted to DeleteOptions: it is a ${raw.kind}`);
  }
  return decode(messageShapeOf(DeleteOptions), raw.json ?? {}).object as DeleteBody;
}

/** DELETE of one object. */
export async function remove(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = await optionsOf(request);
  call.dryRun = options.dryRun;
  const removed = await removeObject(call, options);
  const kind = kindOf(call);
  warn(call, deleteWarnings(kind, options));
  if (removed.gone && !kind.deleteReturnsObject) return statusAnswer(200, removedStatus(kind, removed.object), request);
  // Upstream's rule: accepted where the client has asked for its dependents to go by the older option.
  const accepted = !removed.gone && options.cascades;
  return objectAnswer(call, request, accepted ? 202 : 200, removed.gone ? { object: removed.object } : removed);
}

const deleteWarnings = ({ deleteWarning }: Kind, { propagation }: RemoveOptions): string[] =>
  deleteWarning !== undefined && propagation === undefined ? [deleteWarning] : [];

const atOnce = 32;

/** DELETE of a collection: each object by itself, in key order, as many as the selectors match. Answers with what was deleted. */
export async function removeCollection(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = await optionsOf(request);
  const { server, resource } = call;
  const format = formatOf(request);
  checkMetadataForm(format, resource.kind, true);
  const selection = selectionOf(resource.kind, call.namespace, request.query);
  const found = await find(
    server,
    resource.type,
    selection,
    listParameters(request.query, selection.prefix),
    request.signal,
  );
  const removed: (Removed | undefined)[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < found.entries.length; at = next++) {
      const entry = found.entries[at]!;
      const slash = entry.key.indexOf("/");
      const each = {
        ...call,
        namespace: entry.key.slice(0, slash),
        name: entry.key.slice(slash + 1),
        dryRun: options.dryRun,
      };
      removed[at] = await removeOne(each, options);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const objects = removed.flatMap((one) => (one ? [one.object] : []));
  warn(call, deleteWarnings(resource.kind, options));
  return listAnswer(call, request, format, listMetadata(found), objects);
}

/** Somebody else may have deleted it meanwhile; that is as good. */
async function removeOne(call: Call, options: RemoveOptions): Promise<Removed | undefined> {
  try {
    return await removeObject(call, options);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
