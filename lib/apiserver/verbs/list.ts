import { stringifyJson } from "#base";
import { bytesAs, type Found, find, objectAs } from "#resources";
import { checkMetadataForm, formatOf, jsonType, listKind } from "../answer.ts";
import { listAnswer } from "../list-answer.ts";
import { listParameters, selectionOf } from "../list-options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";
import { listComputed } from "./computed.ts";

const encoder = new TextEncoder();

/** A list's metadata (meta/v1 ListMeta). */
export const listMetadata = (found: Found): object => ({
  resourceVersion: String(found.revision),
  ...(found.continue === "" ? {} : { continue: found.continue }),
  ...(found.remaining ? { remainingItemCount: found.remaining } : {}),
});

/** GET of a collection. */
export async function list(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { resources, resource } = call;
  const { kind } = resource;
  if (kind.compute) return listComputed(call, request);
  const format = formatOf(request, { path: "collection" });
  checkMetadataForm(format, kind, true);
  const selected = selectionOf(kind, call.namespace, request.query);
  const parameters = listParameters(request.query, selected.prefix);
  const found = await find(resources, { type: resource.type, selection: selected, parameters, signal: request.signal });
  const metadata = listMetadata(found);
  if (format.as === undefined && format.encoding === "json" && !format.pretty) {
    const bodies = found.entries.map((entry) => bytesAs(resources, resource, entry));
    return { status: 200, headers: { "content-type": jsonType }, body: joined(listKind(kind), metadata, bodies) };
  }
  const objects = found.entries.map((entry) => objectAs(resources, resource, entry));
  return listAnswer(call, request, format, metadata, objects);
}

/** A list made of stored bytes. */
function joined(type: object, metadata: object, bodies: readonly Uint8Array[]): Uint8Array {
  const start = encoder.encode(`${stringifyJson({ ...type, metadata }).slice(0, -1)},"items":[`);
  let size = start.length + 2;
  for (const body of bodies) size += body.length + 1;
  const bytes = Buffer.allocUnsafe(size);
  bytes.set(start);
  let at = start.length;
  for (const [index, body] of bodies.entries()) {
    if (index > 0) bytes[at++] = 0x2c;
    bytes.set(body, at);
    at += body.length;
  }
  bytes[at++] = 0x5d;
  bytes[at++] = 0x7d;
  return bytes.subarray(0, at);
}
