import { type KubernetesObject, messageShapeOf, withNulls } from "#api/meta";
import { badRequest, expired, invalid, type StatusCause, sleep, stringifyJson, timeout } from "#base";
import { Compacted, type Entry, FutureRevision, type ListOptions } from "#store";
import { columnDefinitions, type Format, partialMetadata, table, tableRow } from "#wire";
import { checkMetadataForm, formatOf, includeObject, jsonType, listKind, printed, shapeOfAnswer } from "../answer.ts";
import { columnFault } from "../contained.ts";
import { bytesAs, objectAs } from "../objects.ts";
import { booleanOption, integerOption } from "../query.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Selection, selectionOf } from "../selection.ts";
import { type Call, readPage, type Server } from "../server.ts";

/** What the list parameters ask for, checked as upstream checks ListOptions. */
export interface ListParameters {
  limit: number;
  /** The snapshot to read; undefined for the newest. */
  at?: number;
  /** The newest, but not before this revision is there. */
  notOlderThan?: number;
  /** Only keys after this one. */
  after?: string;
}

const encoder = new TextEncoder();
const noContinue = "resourceVersionMatch is forbidden when continue is provided";

/** Reads ListOptions; `prefix` is that of the keys in the list. Throws ApiError 400 or 422 naming what is wrong. */
export function listParameters(query: URLSearchParams, prefix: string, watching = false): ListParameters {
  const causes: StatusCause[] = [];
  const forbid = (field: string, message: string) =>
    causes.push({ reason: "FieldValueForbidden", message: `Forbidden: ${message}`, field });
  const revision = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const token = query.get("continue") ?? "";
  const initial = booleanOption(query, "sendInitialEvents") ?? null;
  const limit = Math.max(0, integerOption(query, "limit") ?? 0);
  integerOption(query, "timeoutSeconds");
  const unsupported = (values: readonly string[]) => {
    const message = `Unsupported value: "${match}": supported values: ${values.map((value) => `"${value}"`).join(", ")}`;
    causes.push({ reason: "FieldValueNotSupported", message, field: "resourceVersionMatch" });
  };
  const supported = watching ? ["NotOlderThan"] : ["Exact", "NotOlderThan", ""];
  if (watching && initial !== null && match !== "NotOlderThan") {
    forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (match !== "") {
    if (watching && initial === null) {
      const why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
      forbid("resourceVersionMatch", why);
    } else if (!watching && revision === "") {
      forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if (token !== "") forbid("resourceVersionMatch", noContinue);
    if (!supported.includes(match)) unsupported(supported);
    if (!watching && match === "Exact" && revision === "0") {
      forbid("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  // Upstream reads a watch from nowhere as one with a match of its own.
  if (watching && initial === null && revision === "" && match === "" && token !== "") {
    forbid("resourceVersionMatch", noContinue);
  }
  if (initial !== null && !watching) forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", causes);
  const number = revisionOf(revision);
  if (token !== "" && !watching) {
    if (number > 0) throw badRequest("specifying resource version is not allowed when using continue");
    return { limit: revision === "0" ? 0 : limit, ...decodeContinue(token, prefix) };
  }
  // Upstream serves this from its cache, whole.
  if (revision === "0") return { limit: 0 };
  if (match === "Exact") return { limit, at: number };
  return number > 0 ? { limit, notOlderThan: number } : { limit };
}

/** Digits of a revision, with some zeros before it. */
const longestRevision = 40;

/** A revision that a read asks for; 0 where it asks for none. Throws ApiError 400 for what is no revision. */
export function revisionOf(text: string): number {
  if (text === "") return 0;
  const isNumber = /^\d+$/.test(text);
  if (isNumber && text.length <= longestRevision && BigInt(text) < 2n ** 64n) return Number(text);
  const shown = JSON.stringify(text);
  const why = `Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: ${isNumber ? "value out of range" : "invalid syntax"}`;
  throw badRequest(`invalid resource version: resourceVersion: ${why}`);
}

interface Token {
  v: "meta.k8s.io/v1";
  rv: number;
  start: string;
}

/** The key after `key` where the list goes on, without the prefix of the list, as upstream's tokens have it. */
const encodeContinue = (rv: number, key: string, prefix: string): string => {
  const token: Token = { v: "meta.k8s.io/v1", rv, start: `${key.slice(prefix.length)}\u0000` };
  return Buffer.from(stringifyJson(token)).toString("base64url");
};

function decodeContinue(text: string, prefix: string): { at?: number; after: string } {
  const refuse = (why: string) => badRequest(`invalid continue token: continue key is not valid: ${why}`);
  let token: Partial<Token>;
  try {
    token = JSON.parse(Buffer.from(text, "base64url").toString()) as Partial<Token>;
  } catch {
    throw refuse("it is no JSON in base64");
  }
  const { v = "", rv = 0, start = "" } = token ?? {};
  if (v !== "meta.k8s.io/v1") throw refuse(`server does not recognize this encoded version ${v}`);
  if (rv === 0) throw refuse("incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (!Number.isInteger(rv) || typeof start !== "string" || start === "") {
    throw refuse("encoded start key empty (version meta.k8s.io/v1)");
  }
  const after = `${prefix}${start.endsWith("\u0000") ? start.slice(0, -1) : start}`;
  // -1: the newest objects after the key, for a client that goes on after its snapshot has expired.
  return rv < 0 ? { after } : { at: rv, after };
}

/** Entries of one snapshot that a request is about. */
export interface Found {
  revision: number;
  entries: Entry[];
  continue: string;
  remaining?: number;
}

/** Waits up to three seconds for a revision that this server has not seen; 504 then, in upstream's words. */
export async function waitForRevision(
  server: Server,
  type: string,
  revision: number,
  signal: AbortSignal,
): Promise<void> {
  let head = await server.store.head(type);
  const deadline = server.clock.now() + 3000;
  while (head < revision) {
    if (server.clock.now() >= deadline || signal.aborted) throw tooLarge(revision, head);
    await sleep(server.clock, 100, signal);
    head = await server.store.head(type);
  }
}

export const tooLarge = (revision: number, head: number): Error =>
  timeout(`Too large resource version: ${revision}, current: ${head}`, 1, [
    { reason: "ResourceVersionTooLarge", message: "Too large resource version" },
  ]);

/** Reads what a list asks for: pages until the limit is full of objects that the selection matches. */
export async function find(
  server: Server,
  type: string,
  selection: Selection,
  parameters: ListParameters,
  signal: AbortSignal,
): Promise<Found> {
  if (parameters.notOlderThan !== undefined) await waitForRevision(server, type, parameters.notOlderThan, signal);
  const { limit } = parameters;
  const found: Found = { revision: 0, entries: [], continue: "" };
  let { at, after } = parameters;
  for (;;) {
    const options: ListOptions = { prefix: selection.key ?? selection.prefix };
    if (after !== undefined) options.after = after;
    if (limit > 0) options.limit = limit;
    const page = await snapshot(server, type, options, at, after);
    found.revision = page.revision;
    at = page.revision;
    for (const entry of page.entries) {
      if (selection.key !== undefined && entry.key !== selection.key) break;
      if (limit > 0 && found.entries.length === limit) {
        return { ...found, continue: encodeContinue(page.revision, found.entries.at(-1)!.key, selection.prefix) };
      }
      if (selection.matches(entry.key, entry.index)) found.entries.push(entry);
    }
    // One object by its name is the whole answer, whatever other keys begin like its own.
    if (selection.key !== undefined && (found.entries.length > 0 || page.entries[0]?.key !== selection.key))
      return found;
    const last = page.entries.at(-1);
    if (!page.more || !last) return found;
    after = last.key;
    if (limit > 0 && found.entries.length === limit) {
      found.continue = encodeContinue(page.revision, found.entries.at(-1)!.key, selection.prefix);
      if (selection.everything && page.remaining !== undefined) found.remaining = page.remaining;
      return found;
    }
  }
}

async function snapshot(
  server: Server,
  type: string,
  options: ListOptions,
  at: number | undefined,
  after: string | undefined,
) {
  try {
    if (at === undefined) return await readPage(server, type, options);
    const cache = await server.cache?.(type);
    return cache?.listAt(at, options) ?? (await server.store.list(type, { ...options, at }));
  } catch (error) {
    if (error instanceof Compacted) throw await tooOld(after, options.prefix ?? "", error);
    if (error instanceof FutureRevision) throw tooLarge(at ?? 0, error.head);
    throw error;
  }
}

/** An expired snapshot: a client that pages may go on with the newest objects, by the token in the Status. */
async function tooOld(after: string | undefined, prefix: string, cause: Error): Promise<Error> {
  const error = expired(
    after === undefined
      ? "The resourceVersion for the provided list is too old."
      : "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
          "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
          "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
          "deleted between the time the first chunk was returned and now may show up in the list.",
  );
  error.cause = cause;
  if (after !== undefined) error.status.metadata = { continue: encodeContinue(-1, after, prefix) };
  return error;
}

/** A list's metadata (meta/v1 ListMeta). */
export const listMetadata = (found: Found): object => ({
  resourceVersion: String(found.revision),
  ...(found.continue === "" ? {} : { continue: found.continue }),
  ...(found.remaining ? { remainingItemCount: found.remaining } : {}),
});

/** GET of a collection. */
export async function list(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const { server, resource } = call;
  const { kind } = resource;
  const format = formatOf(request, { path: "collection" });
  checkMetadataForm(format, kind, true);
  const selected = selectionOf(kind, call.namespace, request.query);
  const found = await find(
    server,
    resource.type,
    selected,
    listParameters(request.query, selected.prefix),
    request.signal,
  );
  const metadata = listMetadata(found);
  if (format.as === undefined && format.encoding === "json" && !format.pretty) {
    const bodies = found.entries.map((entry) => bytesAs(server, resource, entry));
    return { status: 200, headers: { "content-type": jsonType }, body: joined(listKind(kind), metadata, bodies) };
  }
  const objects = found.entries.map((entry) => objectAs(server, resource, entry));
  return listAnswer(call, request, format, metadata, objects);
}

/** Objects of one kind in the form that the client asks for. */
export function listAnswer(
  { server, resource: { kind } }: Call,
  request: ApiRequest,
  format: Format,
  metadata: ReturnType<typeof listMetadata>,
  objects: readonly KubernetesObject[],
): ApiResponse {
  const version = format.version ?? "v1";
  const shape = shapeOfAnswer(kind, format, true);
  if (format.as === "Table") {
    const [include, now] = [includeObject(request), server.clock.now()];
    const rows = objects.map((object) =>
      tableRow(kind, object, include, now, version, columnFault(server, kind, object)),
    );
    return printed(200, format, table(rows, metadata, version, columnDefinitions(kind)), shape);
  }
  if (format.as === "PartialObjectMetadata") {
    const items = objects.map((object) => partialMetadata(object, version));
    const type = { kind: "PartialObjectMetadataList", apiVersion: `meta.k8s.io/${version}` };
    return printed(200, format, { ...type, metadata, items }, shape);
  }
  const items = objects.map((object) => withNulls(messageShapeOf(kind.schema), object));
  return printed(200, format, { ...listKind(kind), metadata, items }, shape);
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
