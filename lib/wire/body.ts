import { apiVersionOf, decode, fillZeros, type Kind, type Shape } from "#api/meta";
import {
  ApiError,
  badRequest,
  isApiError,
  type Json,
  type JsonObject,
  messageOf,
  parseJson,
  unsupportedMediaType,
} from "#base";
import { isEnvelope } from "./magic.ts";
import {
  checkDepth,
  duplicateKeys,
  type FractionalNumber,
  fractionalNumbers,
  inTextOrder,
  mostFaults,
} from "./scan.ts";
import { utf8Text, validUtf8Text } from "./utf8.ts";

/** How unknown members are handled (`fieldValidation`). */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

export const bodyTypes = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
} as const;

/**
 * The media type without its parameters, in lower case; JSON by default. "" for malformed parameters, which Go's
 * mime.ParseMediaType refuses.
 */
export function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return bodyTypes.json;
  const [type = "", ...parameters] = contentType.split(";");
  const sound = parameters.every(
    (parameter, index) => parameterOf.test(parameter) || (index === parameters.length - 1 && parameter.trim() === ""),
  );
  return sound ? type.trim().toLowerCase() : "";
}

const parameterOf = /^\s*[^\s=]+=(?:"[^"]*"|[^\s"]+)\s*$/;

/** A body turned into JSON, before anything is known of its kind. */
export interface RawBody {
  json: Json;
  apiVersion: string;
  kind: string;
  /** The findings of a strict decoder in the text, such as `duplicate field "data.a"`; computed on demand. */
  strict: string[];
  /** The JSON text with duplicates: findings are in its order. */
  text?: string;
  /** Numbers with a fraction or an exponent, which fit no integer. YAML has none: it reads their values. */
  fractions?: Iterable<FractionalNumber>;
}

/** The text of a JSON body: what is not UTF-8 becomes U+FFFD. Throws ApiError 400 when it nests too deep. */
export function textOf(body: Uint8Array): string {
  const text = utf8Text(body);
  checkDepth(text);
  return text;
}

/** An escape that may be half of a character; Go puts U+FFFD in its place, and so does UTF-8 at the latest. */
const loneSurrogate = /\\u[dD][89a-fA-F]/;

function wellFormed(json: Json): Json {
  if (typeof json === "string") return json.toWellFormed();
  if (Array.isArray(json)) return json.map(wellFormed);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key.toWellFormed(), wellFormed(value)]));
}

/** Parses JSON text of a request; throws ApiError 400 in the words of Go's parser. */
export async function parseJsonBody(text: string): Promise<Json> {
  try {
    const json = parseJson(text);
    return loneSurrogate.test(text) ? wellFormed(json) : json;
  } catch {
    const { jsonSyntaxError } = await import("./json-words.ts");
    throw badRequest(`couldn't get version/kind; json parse error: ${jsonSyntaxError(text)}`);
  }
}

/**
 * Reads a JSON body, or one in YAML, for which more is loaded. `strict`: whether to look for duplicate keys. Throws
 * ApiError 415 for another media type, and 400 in upstream's words for text that cannot be read.
 */
export async function readText(body: Uint8Array, mediaType: string, strict: boolean): Promise<RawBody> {
  if (mediaType === bodyTypes.yaml) {
    const { parseYaml } = await import("./yaml.ts");
    const parsed = parseYaml(validUtf8Text(body));
    return { ...parsed, ...typeMeta(parsed.json) };
  }
  if (mediaType !== bodyTypes.json) throw unsupportedMediaType(Object.values(bodyTypes));
  const text = textOf(body);
  const json = await parseJsonBody(text);
  const duplicates = strict ? duplicateKeys(text) : [];
  return {
    json,
    strict: duplicates.map(duplicateField),
    ...(duplicates.length > 0 ? { text } : {}),
    fractions: fractionalNumbers(text),
    ...typeMeta(json),
  };
}

/** How upstream's strict JSON decoder names a member that a later one hides. */
export const duplicateField = (path: string): string => `duplicate field "${path}"`;

const metaType =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/**
 * The apiVersion and kind of an object; "" where they are absent. Throws the error of `refuse`, 400 by default, where
 * it is no object or these members are no strings.
 */
export function typeMeta(
  json: Json,
  refuse: (why: string) => ApiError = badRequest,
): { apiVersion: string; kind: string } {
  const fail = (value: Json, where: string) =>
    refuse(`couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonType(value)} into Go ${where}`);
  if (json === null) return { apiVersion: "", kind: "" };
  if (typeof json !== "object" || Array.isArray(json)) throw fail(json, `value of type ${metaType}`);
  const textAt = (member: "apiVersion" | "kind"): string => {
    const value = Object.hasOwn(json, member) ? (json[member] ?? "") : "";
    if (typeof value !== "string") throw fail(value, `struct field .${member} of type string`);
    return value;
  };
  return { apiVersion: textAt("apiVersion"), kind: textAt("kind") };
}

/** What Go's decoder calls a value. */
function jsonType(json: Json): string {
  if (Array.isArray(json)) return "array";
  if (typeof json === "boolean") return "bool";
  return typeof json === "bigint" ? "number" : typeof json;
}

/** An object as it was sent, and warnings for the client. */
export interface Received {
  object: JsonObject;
  warnings: string[];
}

/**
 * Converts parsed JSON to a kind's object, and handles unknown members by `validation`. `refuse` makes the error of a
 * reason, 400 by default.
 */
export function receive(
  kind: Kind,
  raw: Pick<RawBody, "json" | "strict" | "fractions" | "text">,
  validation: FieldValidation,
  refuse: (why: string) => ApiError = (why) =>
    badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`),
): Received {
  for (const fraction of raw.fractions ?? []) settleFraction(kind, raw.json, fraction, refuse);
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(kind.shape, raw.json ?? {});
  } catch (error) {
    if (error instanceof ApiError) throw refuse(messageOf(error));
    throw error;
  }
  if (validation === "Ignore") return { object: decoded.object, warnings: [] };
  const found = strictErrors(raw, decoded.unknown);
  if (found.length > 0 && validation === "Strict") throw refuse(`strict decoding error: ${found.join(", ")}`);
  return { object: decoded.object, warnings: found.flatMap(warningsOf) };
}

const unknownField = (path: string): string => `unknown field "${path}"`;

/** The findings of a strict decoder: for JSON in the order of the text, for YAML those of the parser first. */
function strictErrors({ strict, text }: Pick<RawBody, "strict" | "text">, unknown: readonly string[]): string[] {
  if (text === undefined || unknown.length === 0) {
    return [...strict, ...unknown.slice(0, mostFaults).map(unknownField)];
  }
  const met = inTextOrder(text, duplicateKeys(text), unknown);
  return met.map(({ path, isDuplicate }) => (isDuplicate ? duplicateField(path) : unknownField(path)));
}

/** Refuses a number that its field cannot hold; a quantity keeps its format. */
function settleFraction(
  kind: Kind,
  json: Json,
  { path, source }: FractionalNumber,
  refuse: (why: string) => ApiError,
): void {
  let shape: Shape | undefined = kind.shape;
  let owner = "";
  const field: string[] = [];
  for (const step of path) {
    if (shape?.type !== "list") field.push(String(step));
    if (shape?.type === "message") {
      owner = shape.name.split(".").at(-1)!;
      shape = shape.fields.get(String(step))?.shape;
    } else if (shape?.type === "list") shape = shape.item;
    else if (shape?.type === "map") shape = shape.value;
    else return;
  }
  if (shape?.type !== "scalar") return;
  if (shape.scalar === "quantity") keepForm(json, path, source);
  const integer = { int32: "int32", int64: "int64", intOrString: "int32" }[shape.scalar as string];
  if (integer === undefined) return;
  throw refuse(
    `json: cannot unmarshal number ${source} into Go struct field ${owner}.${field.join(".")} of type ${integer}`,
  );
}

/** Puts the text of a number in its place, where it still is: a member that is set again hides it. */
function keepForm(json: Json, path: readonly (string | number)[], source: string): void {
  let holder: Json | undefined = json;
  for (const step of path.slice(0, -1)) {
    if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, step)) return;
    holder = (holder as JsonObject)[step];
  }
  if (typeof holder !== "object" || holder === null) return;
  const last = path.at(-1)!;
  if (Object.hasOwn(holder, last) && typeof (holder as JsonObject)[last] === "number")
    (holder as JsonObject)[last] = source;
}

/** A YAML parser's complaint has a line for each member that is set twice; each is a warning of its own. */
function warningsOf(complaint: string): string[] {
  const [head, ...lines] = complaint.split("\n");
  return lines.length === 0 ? [head!] : lines.map((line) => line.trim());
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
    const object = envelope.decode(kind.shape);
    fillZeros(kind.shape, object);
    return { object, warnings: [] };
  }
  const raw = await readText(body, mediaType, validation !== "Ignore").catch((error: unknown) => {
    throw isApiError(error) && error.code === 400 ? unrecognized(kind, error.message, body) : error;
  });
  checkType(kind, raw);
  return receive(kind, raw, validation);
}

/** The error for a body whose kind cannot be read: with its beginning, in hex where it is no JSON object. */
function unrecognized(kind: Kind, why: string, body: Uint8Array): ApiError {
  return badRequest(`the object provided is unrecognized (must be of type ${kind.kind}): ${why} (${summary(body)})`);
}

function summary(body: Uint8Array): string {
  const shown = 30;
  if (body.length === 0) return "<empty>";
  const head = body.subarray(0, shown);
  const object = body[0] === "{".charCodeAt(0);
  const text = object ? utf8Text(head) : [...head].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return body.length > shown ? `${text} ...` : text;
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
