import { badRequest, type Json } from "#base";

/** A scalar as YAML 1.1 with go-yaml's exceptions reads it. `nonFinite` floats exist in YAML and not in JSON. */
export type Resolved =
  | { tag: "null"; value: null }
  | { tag: "bool"; value: boolean }
  | { tag: "int"; value: bigint }
  | { tag: "float"; value: number }
  | { tag: "timestamp" | "merge" | "str" | "binary"; value: string };

const words = new Map<string, Resolved>();
const add = (text: string, resolved: Resolved) => {
  for (const word of text.split(" ")) words.set(word, resolved);
};
add("y Y yes Yes YES true True TRUE on On ON", { tag: "bool", value: true });
add("n N no No NO false False FALSE off Off OFF", { tag: "bool", value: false });
add("~ null Null NULL", { tag: "null", value: null });
words.set("", { tag: "null", value: null });
add(".nan .NaN .NAN", { tag: "float", value: Number.NaN });
add(".inf .Inf .INF +.inf +.Inf +.INF", { tag: "float", value: Number.POSITIVE_INFINITY });
add("-.inf -.Inf -.INF", { tag: "float", value: Number.NEGATIVE_INFINITY });
add("<<", { tag: "merge", value: "<<" });

/** What an unquoted scalar without a tag is. */
export function resolvePlain(text: string): Resolved {
  const word = words.get(text);
  if (word) return word;
  const first = text[0]!;
  if (first === ".") return floatOf(text) ?? { tag: "str", value: text };
  if (!/[-+0-9]/.test(first)) return { tag: "str", value: text };
  if (isTimestamp(text)) return { tag: "timestamp", value: text };
  const plain = text.replaceAll("_", "");
  const integer = integerOf(plain);
  if (integer !== undefined) return { tag: "int", value: integer };
  return floatOf(plain) ?? { tag: "str", value: text };
}

const decimalFloat = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** Beyond what a double holds a number is text, as strconv.ParseFloat fails then. */
function floatOf(text: string): Resolved | undefined {
  if (!decimalFloat.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? { tag: "float", value } : undefined;
}

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const [least, most, mostUnsigned] = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n - 1n];

/** strconv.ParseInt and then ParseUint, both with base 0: a leading 0 is octal, and 64 bits are the limit. */
function integerOf(text: string): bigint | undefined {
  const match = integer.exec(text);
  if (!match) return undefined;
  const [, sign, hexadecimal, binary, octal, decimal] = match;
  const digits = hexadecimal ? `0x${hexadecimal}` : binary ? `0b${binary}` : octal ? `0o${octal}` : decimal!;
  // As many digits are beyond 64 bits in any base; a number of megabytes is not worth reading.
  if (digits.length > 80) return undefined;
  const value = sign === "-" ? -BigInt(digits) : BigInt(digits);
  if (value >= least && value <= most) return value;
  return sign === "" && value > 0n && value <= mostUnsigned ? value : undefined;
}

const timestamp =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt](\d\d?):(\d\d?):(\d\d?)(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| (\d\d?):(\d\d?):(\d\d?)(?:[.,]\d+)?)?$/;

/** Whether go-yaml takes a text for a time; one with numbers out of range is text. */
function isTimestamp(text: string): boolean {
  const match = timestamp.exec(text);
  if (!match) return false;
  const [year = 0, month = 0, day = 0] = match.slice(1, 4).map(Number);
  const [hour = 0, minute = 0, second = 0] = match
    .slice(match[4] === undefined ? 7 : 4)
    .slice(0, 3)
    .map((part) => Number(part ?? 0));
  const days = [
    31,
    year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28,
    31,
    30,
    31,
    30,
    31,
    31,
    30,
    31,
    30,
    31,
  ];
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1]! && hour < 24 && minute < 60 && second < 60;
}

const longPrefix = "tag:yaml.org,2002:";
const resolvable = new Set(["str", "bool", "int", "float", "null", "timestamp"]);

/**
 * A scalar with a tag. Undefined tags leave it text. Throws ApiError 400 in go-yaml's words where the text does not
 * match the tag.
 */
export function resolveTagged(tag: string, text: string): Resolved {
  const name = tag.startsWith(longPrefix) ? tag.slice(longPrefix.length) : tag;
  if (name === "binary" && tag !== name) return { tag: "binary", value: decodedBinary(text) };
  if (tag === name || !resolvable.has(name) || name === "str") return { tag: "str", value: text };
  const found = name === "timestamp" || !isTimestamp(text) ? resolvePlain(text) : untimed(text);
  if (found.tag === name) return found;
  if (name === "float" && found.tag === "int") return { tag: "float", value: Number(found.value) };
  throw badRequest(`yaml: cannot decode !!${found.tag} \`${text}\` as a !!${name}`);
}

/** A time under another tag is only text. */
const untimed = (text: string): Resolved => ({ tag: "str", value: text });

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function decodedBinary(text: string): string {
  const packed = text.replace(/[\r\n]/g, "");
  if (!base64.test(packed)) throw badRequest("yaml: !!binary value contains invalid base64 data");
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    Uint8Array.from(atob(packed), (byte) => byte.charCodeAt(0)),
  );
}

/** The value in JSON. Throws ApiError 400 for what JSON has no number for. */
export function jsonOf(resolved: Resolved): Json {
  if (resolved.tag === "int") return smallest(resolved.value);
  if (resolved.tag === "float" && !Number.isFinite(resolved.value)) {
    throw badRequest(`json: unsupported value: ${goFloat(resolved.value)}`);
  }
  return resolved.value;
}

const smallest = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

const goFloat = (value: number): string => (Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");

/** A key of a map as JSON has it (`convertToJSONableObject`); undefined for one that JSON cannot have. */
export function keyTextOf(resolved: Resolved): string | undefined {
  if (resolved.tag === "null") return undefined;
  if (resolved.tag === "int") return resolved.value > most ? undefined : String(resolved.value);
  if (resolved.tag !== "float") return String(resolved.value);
  if (Number.isNaN(resolved.value)) return ".nan";
  if (!Number.isFinite(resolved.value)) return resolved.value > 0 ? ".inf" : "-.inf";
  return shortFloat(resolved.value);
}

/** Go's FormatFloat(value, 'g', -1, 32): the shortest text that a float32 reads back, with an exponent of two digits. */
function shortFloat(value: number): string {
  const single = Math.fround(value);
  if (single === 0) return Object.is(single, -0) ? "-0" : "0";
  if (!Number.isFinite(single)) return single > 0 ? "+Inf" : "-Inf";
  let precision = 1;
  while (precision < 9 && Math.fround(Number(single.toPrecision(precision))) !== single) precision++;
  const [mantissa = "", exponent = "0"] = single.toExponential(precision - 1).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 6) {
    const digits = String(Math.abs(power)).padStart(2, "0");
    return `${mantissa}e${power < 0 ? "-" : "+"}${digits}`;
  }
  return Number(`${mantissa}e${exponent}`).toFixed(Math.max(precision - 1 - power, 0));
}

/** How Go's `%#v` prints a key, for duplicates. */
export function goSyntax(resolved: Resolved): string {
  if (typeof resolved.value === "string") return JSON.stringify(resolved.value);
  if (resolved.tag === "null") return "<nil>";
  return String(resolved.value);
}
