import { apiVersionOf, decode, fillZeros, type Kind, messageShapeOf } from "#api/meta";
import { ApiError, badRequest, type Json, type JsonObject, messageOf, parseJson, unsupportedMediaType } from "#base";
import { isEnvelope } from "./magic.ts";
import { checkDepth, duplicateKeys } from "./scan.ts";

/** What a client says about members that the server does not know (`fieldValidation`). */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

export const bodyTypes = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
} as const;

/** The media type without its parameters, in lower case; JSON when the client says nothing. */
export function mediaTypeOf(contentType: string | undefined): string {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  return type === undefined || type === "" ? bodyTypes.json : type;
}

/** A body turned into JSON, before anything is known of its kind. */
export interface RawBody {
  json: Json;
  apiVersion: string;
  kind: string;
  /** What a strict decoder says of the text, such as `duplicate field "data.a"`; found only when asked for. */
  strict: string[];
}

// A byte order mark is no JSON, as in Go.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a body; throws ApiError 400 when it is not UTF-8 or nests too deep. */
export function textOf(body: Uint8Array): string {
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    throw badRequest("the body of the request is not valid UTF-8");
  }
  checkDepth(text);
  return text;
}

/** Parses JSON text of a request; throws ApiError 400 naming what is wrong. */
export function parseJsonBody(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw badRequest(`couldn't get version/kind; json parse error: ${messageOf(error)}`);
  }
}

/** Reads a JSON body, or one in YAML, for which more is loaded. `strict`: whether to look for duplicate keys. */
export async function readText(body: Uint8Array, mediaType: string, strict: boolean): Promise<RawBody> {
  const text = textOf(body);
  if (mediaType === bodyTypes.yaml || mediaType === "text/yaml" || mediaType === "application/x-yaml") {
    const { parseYaml } = await import("./yaml.ts");
    const parsed = parseYaml(text);
    return { json: parsed.json, strict: parsed.duplicates.map(duplicateField), ...typeMeta(parsed.json) };
  }
  if (mediaType !== bodyTypes.json) throw unsupportedMediaType(Object.values(bodyTypes));
  const json = parseJsonBody(text);
  return { json, strict: strict ? duplicateKeys(text).map(duplicateField) : [], ...typeMeta(json) };
}

/** How upstream's strict JSON decoder names a member that a later one hides. */
export const duplicateField = (path: string): string => `duplicate field "${path}"`;

/** What an object says of its own type; "" where it says nothing. */
export function typeMeta(json: Json): { apiVersion: string; kind: string } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return { apiVersion: "", kind: "" };
  const { apiVersion, kind } = json;
  return { apiVersion: typeof apiVersion === "string" ? apiVersion : "", kind: typeof kind === "string" ? kind : "" };
}

/** An object as it was sent, and what to tell the client about it. */
export interface Received {
  object: JsonObject;
  warnings: string[];
}

/**
 * Makes a kind's object of parsed JSON and treats what does not fit as `validation` says. `refuse` makes the error of
 * the reason; 400 by default.
 */
export function receive(
  kind: Kind,
  raw: Pick<RawBody, "json" | "strict">,
  validation: FieldValidation,
  refuse: (why: string) => ApiError = (why) =>
    badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`),
): Received {
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(messageShapeOf(kind.schema), raw.json);
  } catch (error) {
    if (error instanceof ApiError) throw refuse(messageOf(error));
    throw error;
  }
  if (validation === "Ignore") return { object: decoded.object, warnings: [] };
  const found = [...raw.strict, ...decoded.unknown.map((path) => `unknown field "${path}"`)];
  if (found.length > 0 && validation === "Strict") throw refuse(`strict decoding error: ${found.join(", ")}`);
  return { object: decoded.object, warnings: found };
}

/**
 * Reads the body of a create or update: JSON, YAML or protobuf. Throws ApiError 415 for another media type and 400
 * where the body is of another kind than the place it was sent to.
 */
export async function readObject(
  kind: Kind,
  body: Uint8Array,
  contentType: string | undefined,
  validation: FieldValidation,
): Promise<Received> {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === bodyTypes.protobuf || isEnvelope(body)) {
    const { decodeEnvelope } = await import("./protobuf.ts");
    const envelope = decodeEnvelope(body);
    checkType(kind, envelope);
    const object = envelope.decode(messageShapeOf(kind.schema));
    fillZeros(messageShapeOf(kind.schema), object);
    return { object, warnings: [] };
  }
  const raw = await readText(body, mediaType, validation !== "Ignore");
  checkType(kind, raw);
  return receive(kind, raw, validation);
}

/** The place decides the kind: a body may leave it out, one that names another is refused in upstream's words. */
export function checkType(
  kind: Kind,
  sent: { apiVersion: string; kind: string },
  refuse: (why: string) => ApiError = badRequest,
): void {
  const expected = apiVersionOf(kind);
  const apiVersion = sent.apiVersion === "" ? expected : sent.apiVersion;
  if (apiVersion !== expected) {
    throw refuse(`the API version in the data (${apiVersion}) does not match the expected API version (${expected})`);
  }
  if (sent.kind === "" || sent.kind === kind.kind) return;
  const why = `converting (${expected}.${sent.kind}) to (${expected}.${kind.kind}): unknown conversion`;
  throw refuse(`${sent.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
}
