import { badRequest, type Json, type JsonObject, messageOf } from "#base";
import type { Scalar } from "./field.ts";
import { canonicalQuantity } from "./quantity.ts";
import { type FieldShape, isLeftOut, type MessageShape, type Shape } from "./shape.ts";
import { canonicalMicroTime, canonicalTime } from "./time.ts";
import { fillMessage, zero } from "./zeros.ts";

/** What was sent, as the kind's type has it. */
export interface Decoded {
  object: JsonObject;
  /** Paths of members that the type does not have, in the order met, such as `spec.template.spec.containers[0].foo`. */
  unknown: string[];
}

/**
 * Makes an object of a type out of parsed JSON: members the type does not have are left out and reported, nulls and
 * empty optional lists and maps count as absent, and so do zero values where no pointer is (see `isPointer`);
 * quantities, times and base64 get their canonical text. The result shares nothing with the input but raw values.
 * `apiVersion` and `kind` are passed over at the top.
 *
 * Throws ApiError 400 with the words of Go's decoder where a value has the wrong type.
 */
export function decode(shape: MessageShape, json: Json): Decoded {
  const unknown: string[] = [];
  if (!isObject(json)) throw mismatch(json, { owner: shape.name, path: "" }, shape);
  const object = decodeMessage(shape, json, { owner: shape.name, path: "" }, unknown, true);
  return { object, unknown };
}

interface Place {
  /** The message that holds the field, for Go's words. */
  owner: string;
  path: string;
  /** The path of the map that holds the value, which Go names in place of the key. */
  map?: string;
}

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);

function decodeMessage(shape: MessageShape, json: JsonObject, at: Place, unknown: string[], top = false): JsonObject {
  const object: JsonObject = {};
  for (const key in json) {
    const field = shape.fields.get(key);
    const path = at.path === "" ? key : `${at.path}.${key}`;
    if (!field) {
      if (!(top && (key === "apiVersion" || key === "kind"))) unknown.push(path);
      continue;
    }
    const value = json[key];
    if (value === null || value === undefined) continue;
    const decoded = decodeValue(field.shape, value, { owner: shape.name, path }, unknown);
    if (isLeftOut(field, decoded) || (!field.required && isEmptyCollection(field, decoded))) continue;
    object[key] = decoded;
  }
  fillMessage(shape, object);
  return object;
}

/** Go leaves out empty lists and maps; an empty message is a pointer there and stays. */
function isEmptyCollection(field: FieldShape, value: Json): boolean {
  if (field.shape.type === "list") return (value as Json[]).length === 0;
  if (field.shape.type === "map") return Object.keys(value as JsonObject).length === 0;
  return false;
}

function decodeValue(shape: Shape, json: Json, at: Place, unknown: string[]): Json {
  if (shape.type === "scalar") return decodeScalar(shape.scalar, json, at);
  if (shape.type === "message") {
    if (!isObject(json)) throw mismatch(json, at, shape);
    return decodeMessage(shape, json, at, unknown);
  }
  if (shape.type === "list") {
    if (!Array.isArray(json)) throw mismatch(json, at, shape);
    // An item may be null in JSON; Go makes the item's zero value of it.
    return json.map((item, index) =>
      decodeValue(
        shape.item,
        item ?? zero(shape.item) ?? "",
        { owner: at.owner, path: `${at.path}[${index}]` },
        unknown,
      ),
    );
  }
  if (!isObject(json)) throw mismatch(json, at, shape);
  const object: JsonObject = {};
  for (const key in json) {
    const path = `${at.path}.${key}`;
    const place = { owner: at.owner, path, map: at.path };
    const value = decodeValue(shape.value, json[key] ?? zero(shape.value) ?? "", place, unknown);
    if (key === "__proto__") Object.defineProperty(object, key, { value, enumerable: true });
    else object[key] = value;
  }
  return object;
}

function decodeScalar(scalar: Scalar, json: Json, at: Place): Json {
  switch (scalar) {
    case "string":
    case "duration":
      if (typeof json !== "string") break;
      return json;
    case "boolean":
      if (typeof json !== "boolean") break;
      return json;
    case "int32":
      if (typeof json !== "number" || !Number.isInteger(json) || json > 2147483647 || json < -2147483648) break;
      return json;
    case "int64":
      if (typeof json === "bigint" ? BigInt.asIntN(64, json) !== json : !Number.isInteger(json)) break;
      return json;
    case "double":
      if (typeof json !== "number" && typeof json !== "bigint") break;
      return Number(json);
    case "intOrString":
      if (typeof json === "string") return json;
      if (typeof json !== "number" || !Number.isInteger(json)) break;
      return json;
    case "bytes":
      if (typeof json !== "string") break;
      return canonicalBase64(json);
    case "quantity":
      if (typeof json !== "string" && typeof json !== "number" && typeof json !== "bigint") break;
      return convert(() => canonicalQuantity(String(json)));
    case "time":
      if (typeof json !== "string") break;
      return convert(() => canonicalTime(json));
    case "microTime":
      if (typeof json !== "string") break;
      return convert(() => canonicalMicroTime(json));
    case "fieldsV1":
      if (!isObject(json)) break;
      return json;
    case "raw":
      return json;
  }
  throw mismatch(json, at, { type: "scalar", scalar });
}

function convert(run: () => string): string {
  try {
    return run();
  } catch (error) {
    throw badRequest(messageOf(error));
  }
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A whole text that something follows. */
const paddedBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)(?=.)/;

function canonicalBase64(text: string): string {
  const packed = text.replace(/[\r\n]/g, "");
  // Bits after the last byte may be set in the last letters; they are ignored.
  if (base64.test(packed)) return packed.endsWith("=") ? packed.slice(0, -4) + btoa(atob(packed.slice(-4))) : packed;
  const padded = paddedBase64.exec(packed);
  if (padded) throw badRequest(`illegal base64 data at input byte ${padded[0].length}`);
  const wrong = packed.search(/[^A-Za-z0-9+/=]|=(?!=?$)/);
  throw badRequest(`illegal base64 data at input byte ${wrong < 0 ? packed.length - (packed.length % 4) : wrong}`);
}

/** The last two parts of a message's name, as Go prints a type: `v1.PodSpec`. */
const goName = (name: string): string => name.split(".").slice(-2).join(".");

const goScalars: Partial<Record<Scalar, string>> = {
  boolean: "bool",
  double: "float64",
  bytes: "[]uint8",
  time: "string",
  microTime: "string",
  quantity: "resource.Quantity",
  intOrString: "intstr.IntOrString",
  duration: "string",
};

function goType(shape: Shape): string {
  if (shape.type === "message") return goName(shape.name);
  if (shape.type === "list") return `[]${goType(shape.item)}`;
  if (shape.type === "map") return `map[string]${goType(shape.value)}`;
  return goScalars[shape.scalar] ?? shape.scalar;
}

function jsonType(json: Json): string {
  if (Array.isArray(json)) return "array";
  if (json === null) return "null";
  switch (typeof json) {
    case "boolean":
      return "bool";
    case "number":
    case "bigint":
      return "number";
    case "string":
      return "string";
    default:
      return "object";
  }
}

function mismatch(json: Json, at: Place, shape: Shape): Error {
  // Go names the number only where the number itself is the trouble.
  const numeric = shape.type === "scalar" && ["int32", "int64"].includes(shape.scalar) && typeof json === "number";
  const what = numeric ? `number ${json}` : jsonType(json);
  const owner = at.owner.split(".").at(-1);
  const path = (at.map ?? at.path).replace(/\[\d+\]/g, "");
  const where = at.path === "" ? "value" : `struct field ${owner}.${path}`;
  return badRequest(`json: cannot unmarshal ${what} into Go ${where} of type ${goType(shape)}`);
}

const withDefaults = new WeakMap<Shape, boolean>();

/** Whether a static default exists anywhere below; a cycle counts as none. */
function hasDefaults(shape: Shape): boolean {
  if (shape.type === "scalar") return false;
  if (shape.type === "list") return hasDefaults(shape.item);
  if (shape.type === "map") return hasDefaults(shape.value);
  const known = withDefaults.get(shape);
  if (known !== undefined) return known;
  withDefaults.set(shape, false);
  let found = false;
  for (const field of shape.fields.values()) {
    if (field.facts.default !== undefined || hasDefaults(field.shape)) found = true;
  }
  withDefaults.set(shape, found);
  return found;
}

/** Sets the static defaults of a type in place, wherever the message that holds the field is present. */
export function applyDefaults(shape: Shape, value: unknown): void {
  if (value === undefined || value === null || !hasDefaults(shape)) return;
  if (shape.type === "list") for (const item of value as unknown[]) applyDefaults(shape.item, item);
  if (shape.type === "map") for (const item of Object.values(value as object)) applyDefaults(shape.value, item);
  if (shape.type !== "message") return;
  const object = value as Record<string, unknown>;
  for (const [name, field] of shape.fields) {
    if (object[name] === undefined) {
      if (field.facts.default !== undefined) object[name] = field.facts.default;
      continue;
    }
    applyDefaults(field.shape, object[name]);
  }
}
