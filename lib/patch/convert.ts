import type { MessageShape, Scalar, Shape } from "#api/meta";
import type { Json, JsonObject } from "#base";
import { cannotUnmarshal } from "./words.ts";

/**
 * Why a patched object is no object of its type, in the words of apimachinery's converter (`FromUnstructured` in
 * pkg/runtime/converter.go), which names kinds of values and no place. Undefined where nothing is wrong, and where a
 * quantity or base64 has words of its own. Named types of text go by `string`.
 */
export function conversionError(shape: MessageShape, json: Json): string | undefined {
  return errorAt(shape, json);
}

function errorAt(shape: Shape, json: Json): string | undefined {
  if (json === null) return undefined;
  if (shape.type === "scalar") return scalarError(shape.scalar, json);
  if (shape.type === "list") {
    if (!Array.isArray(json)) return `cannot restore slice from ${kindOf(json)}`;
    return first(json, (item) => errorAt(shape.item, item));
  }
  if (!isObject(json)) {
    return shape.type === "map"
      ? `cannot restore map from ${kindOf(json)}`
      : `cannot restore struct from: ${kindOf(json)}`;
  }
  if (shape.type === "map") return first(Object.values(json), (item) => errorAt(shape.value, item));
  const known = [...shape.fields].filter(([name]) => Object.hasOwn(json, name));
  return first(known, ([name, field]) => errorAt(field.shape, json[name]!));
}

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isObject = (json: Json): json is JsonObject => typeof json === "object" && json !== null && !Array.isArray(json);

/** The kind of Go's value of decoded JSON. */
function kindOf(json: Json): string {
  if (Array.isArray(json)) return "slice";
  if (typeof json === "boolean") return "bool";
  if (typeof json === "number") return Number.isInteger(json) ? "int64" : "float64";
  if (typeof json === "bigint") return "int64";
  return typeof json === "string" ? "string" : "map";
}

/** What simple fields are in Go, and the kinds of values that they take. */
const simple: Partial<Record<Scalar, { kind: string; takes: readonly string[] }>> = {
  string: { kind: "string", takes: ["string"] },
  boolean: { kind: "bool", takes: ["bool"] },
  int32: { kind: "int32", takes: ["int64"] },
  int64: { kind: "int64", takes: ["int64"] },
  double: { kind: "float64", takes: ["int64", "float64"] },
};

function scalarError(scalar: Scalar, json: Json): string | undefined {
  const kind = kindOf(json);
  if (scalar === "bytes") {
    return kind === "string" || kind === "slice" ? undefined : `cannot restore slice from ${kind}`;
  }
  if (scalar === "time" || scalar === "microTime") {
    return kind === "string" ? undefined : cannotUnmarshal(json, "value of type string");
  }
  if (scalar === "intOrString") {
    return kind === "string" || kind === "int64" ? undefined : cannotUnmarshal(json, "value of type int32");
  }
  const wanted = simple[scalar];
  if (!wanted || wanted.takes.includes(kind)) return undefined;
  // Go has conversions between numbers, and from whole numbers to text, which the converter does not make.
  const isNumber = ["int32", "int64", "float64"].includes(wanted.kind);
  const hasConversion = (kind === "int64" && wanted.kind === "string") || (kind === "float64" && isNumber);
  return hasConversion ? `cannot convert ${kind} to ${wanted.kind}` : `unrecognized type: ${wanted.kind}`;
}
