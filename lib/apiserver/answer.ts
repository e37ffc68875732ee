import { apiVersionOf, type Kind, type KubernetesObject, ListMeta, type MessageShape, messageShapeOf } from "#api/meta";
import { PartialObjectMetadata, PartialObjectMetadataList, StatusAnswer } from "#api/meta-v1";
import { ApiError, badRequest, isApiError, type JsonObject, messageOf, type Status, stringifyJson } from "#base";
import { bytesAs, type Call, objectAs, served, worded } from "#resources";
import type { Entry } from "#store";
import {
  bodyTypes,
  columnDefinitions,
  type Format,
  type IncludeObject,
  type NegotiationOptions,
  negotiate,
  partialMetadata,
  protobuf,
  table,
  tableRow,
  yaml,
} from "#wire";
import type { ApiRequest, ApiResponse } from "./request.ts";

const encoder = new TextEncoder();
export const jsonType = "application/json";

/** A JSON answer of parsed data. */
export const json = (status: number, value: unknown, headers: ApiResponse["headers"] = {}): ApiResponse => ({
  status,
  headers: { "content-type": jsonType, ...headers },
  body: Buffer.from(stringifyJson(value)),
});

export const text = (status: number, body: string): ApiResponse => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
  body: encoder.encode(body),
});

/** An error as a Status. An unexpected error shows the client only its message. */
export function statusOf(error: unknown): Status {
  if (isApiError(error)) return error.status;
  const message = `Internal error occurred: ${messageOf(error)}`;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason: "InternalError",
    code: 500,
  };
}

/** A Status that is no error, in the encoding that the client accepts. */
export const statusAnswer = (code: number, status: object, request: ApiRequest): ApiResponse =>
  printed(code, refusalFormat(request), status, messageShapeOf(StatusAnswer));

/** An error as an answer, in the encoding that the client accepts. */
export function refusal(error: unknown, request?: ApiRequest): ApiResponse {
  const status = statusOf(error);
  const retry = status.details?.retryAfterSeconds;
  const headers: ApiResponse["headers"] = retry === undefined ? {} : { "retry-after": String(retry) };
  const format: Format = request ? refusalFormat(request) : { encoding: "json" };
  return printed(status.code ?? 500, format, status, messageShapeOf(StatusAnswer), headers);
}

/** The format of a Status. For a client that accepts no format of a Status it is indented JSON, as in upstream. */
export function refusalFormat(request: ApiRequest): Format {
  try {
    return formatOf(request, { plain: true });
  } catch {
    return { encoding: "json", pretty: true };
  }
}

/**
 * The most characters of all warnings together. Beyond them each is cut to the second number, and the last are left
 * out.
 */
const mostWarned = 4096;
const mostEach = 256;

/** An answer with warnings in the form of the Warning header (RFC 7234), each once, as upstream prints them. */
export function withWarnings(response: ApiResponse, warnings: readonly string[]): ApiResponse {
  if (warnings.length === 0) return response;
  const texts = [...new Set(warnings)];
  const warning = withinLimits(texts).map(
    (text) => `299 - "${text.replace(/[\\"]/g, "\\$&").replace(/\p{Cc}+/gu, " ")}"`,
  );
  return { ...response, headers: { ...response.headers, warning } };
}

function withinLimits(texts: readonly string[]): string[] {
  const characters = texts.map((text) => [...text]);
  if (characters.reduce((sum, { length }) => sum + length, 0) <= mostWarned) return [...texts];
  let written = 0;
  const kept: string[] = [];
  for (const text of characters) {
    if (written >= mostWarned) break;
    const cut = text.slice(0, mostEach);
    written += cut.length;
    kept.push(cut.join(""));
  }
  return kept;
}

/** The content type of answers in protobuf. */
export const protobufType = bodyTypes.protobuf;

const listShapes = new WeakMap<Kind, MessageShape>();

/** The shape of an answer about a kind, for protobuf. */
export function shapeOfAnswer(kind: Kind, { as }: Format, isList: boolean): MessageShape {
  if (as === "PartialObjectMetadata") {
    return messageShapeOf(isList ? PartialObjectMetadataList : PartialObjectMetadata);
  }
  const item = kind.shape;
  if (!isList) return item;
  const shape = listShapes.get(kind) ?? listOf(item);
  listShapes.set(kind, shape);
  return shape;
}

const listOf = (item: MessageShape): MessageShape => ({
  type: "message",
  name: `${item.name}List`,
  fields: new Map([
    ["metadata", { shape: messageShapeOf(ListMeta), required: false, facts: { n: 1 } }],
    ["items", { shape: { type: "list", item }, required: true, facts: { n: 2 } }],
  ]),
});

async function* protobufOf(value: object, shape: MessageShape): AsyncGenerator<Uint8Array> {
  const { encodeEnvelope } = await protobuf();
  const { apiVersion = "", kind = "" } = value as Partial<KubernetesObject>;
  yield encodeEnvelope({ apiVersion, kind }, shape, value as JsonObject);
}

async function* yamlOf(value: unknown): AsyncGenerator<Uint8Array> {
  const { printYaml } = await yaml();
  yield encoder.encode(printYaml(value));
}

/** Prints data in the format that the client accepts; protobuf by the shape of the data. */
export function printed(
  status: number,
  format: Format,
  value: object,
  shape: MessageShape,
  headers: ApiResponse["headers"] = {},
): ApiResponse {
  if (format.encoding === "protobuf") {
    return { status, headers: { "content-type": protobufType, ...headers }, body: protobufOf(value, shape) };
  }
  if (format.encoding === "yaml") {
    return { status, headers: { "content-type": "application/yaml", ...headers }, body: yamlOf(value) };
  }
  if (!format.pretty) return json(status, value, headers);
  return {
    status,
    headers: { "content-type": jsonType, ...headers },
    body: encoder.encode(`${stringifyJson(value, 2)}\n`),
  };
}

/** The format of a request's answer. `pretty` indents JSON, for curl and browsers. */
export function formatOf(request: ApiRequest, options?: NegotiationOptions): Format {
  const format = negotiate(request.headers["accept"], options);
  const pretty = request.query.get("pretty");
  return pretty !== null && pretty !== "false" && pretty !== "0" ? { ...format, pretty: true } : format;
}

const includes = ["None", "Metadata", "Object"];
/** The `includeObject` parameter of tables. Throws ApiError 400 for an unknown value. */
export function includeObject(request: ApiRequest): IncludeObject {
  const value = request.query.get("includeObject") ?? "";
  if (value === "") return "Metadata";
  if (includes.includes(value)) return value as IncludeObject;
  const why = `includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`;
  throw badRequest(`Unable to convert to Table as requested: ${why}`);
}

/** Objects and lists have different names for their metadata alone. Throws ApiError 406 for the wrong one. */
export function checkMetadataForm({ as, ofList }: Format, kind: Kind, isList: boolean): void {
  if (as !== "PartialObjectMetadata" || (ofList ?? false) === isList) return;
  // Upstream names its internal type.
  const type = `*${kind.group === "" || kind.group === "events.k8s.io" ? "core" : kind.group.split(".")[0]}.${kind.kind}`;
  throw new ApiError(
    406,
    "NotAcceptable",
    isList
      ? `you requested PartialObjectMetadata, but the requested object is a list (${type}List)`
      : `you requested PartialObjectMetadataList, but the requested object is not a list (${type})`,
  );
}

/** An object of an answer, and its form. */
interface Shown {
  status: number;
  kind: Kind;
  object: KubernetesObject;
  format: Format;
}

/** One object in any form: a table of one row, its metadata, or itself. */
function shown({ resources }: Call, request: ApiRequest, { kind, object, format }: Shown): object {
  const version = format.version ?? "v1";
  if (format.as === "PartialObjectMetadata") return partialMetadata(object, version);
  if (format.as !== "Table") return worded(kind, object);
  const failed = resources.faults.ofColumn(kind, object);
  const row = tableRow(kind, object, includeObject(request), resources.clock.now(), version, failed);
  return table([row], { resourceVersion: object.metadata.resourceVersion }, version, columnDefinitions(kind));
}

/** Answers with one object that is in memory. */
export function shownAnswer(call: Call, request: ApiRequest, answer: Shown): ApiResponse {
  const { status, kind, format } = answer;
  return printed(status, format, shown(call, request, answer), shapeOfAnswer(kind, format, false));
}

/** Answers with one object; a stored entry is sent as JSON without being parsed. */
export function objectAnswer(
  call: Call,
  request: ApiRequest,
  status: number,
  found: { object?: KubernetesObject; entry?: Entry | undefined },
): ApiResponse {
  const { kind } = call.resource;
  // Upstream returns no tables for reviews.
  const format = formatOf(request, { tables: !kind.answer });
  if (found.entry && format.encoding === "json" && !format.as && !format.pretty) {
    const body = served(kind, bytesAs(call.resources, call.resource, found.entry));
    return { status, headers: { "content-type": jsonType }, body };
  }
  checkMetadataForm(format, kind, false);
  const object = found.object ?? objectAs(call.resources, call.resource, found.entry!);
  return shownAnswer(call, request, { status, kind, object, format });
}

/** The name of a list's kind. */
export const listKind = (kind: Kind): { kind: string; apiVersion: string } => ({
  kind: `${kind.kind}List`,
  apiVersion: apiVersionOf(kind),
});
