/** How a quantity is written: `12e6`, `12Mi` or `12M`. It stays the same through parsing and printing. */
type Format = "decimalExponent" | "binary" | "decimal";

/** An exact number, mantissa x 10^exponent, never finer than nano. */
export interface Quantity {
  mantissa: bigint;
  exponent: number;
  format: Format;
}

const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const numericWrong = "unable to parse numeric part of quantity";
const suffixWrong = "unable to parse quantity's suffix";

const decimals: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binaries: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalSuffixes = new Map(Object.entries(decimals).map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const maximumBinary = (1n << 63n) - 1n;
/** Far beyond any resource; it keeps `1e999999999` from exhausting the memory. */
const maximumExponent = 1000;

const syntax = /^([+-]?)(0*)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;

interface Parsed extends Quantity {
  /** The text is already canonical. */
  canonical: boolean;
}

function parse(text: string): Parsed {
  const found = syntax.exec(text);
  if (text === "" || !found) throw new Error(formatWrong);
  const [, sign, zeros, leading, fraction = "", suffix] = found as unknown as string[];
  const digits = leading === "" ? "0" : leading!;
  const { base, exponent, format } = interpret(suffix!);
  const slow = isSlow(base, exponent, digits, fraction);
  if (slow && zeros === "" && leading === "" && fraction === "") throw new Error(numericWrong);
  const negative = sign === "-";
  let scale = -fraction.length;
  let value = BigInt(digits + fraction);
  const canonical = !slow && value !== 0n && keepsText({ base, exponent, digits, fraction, value });
  if (base === 2) value <<= BigInt(exponent);
  else scale += exponent;
  if (value === 0n) return { mantissa: 0n, exponent: 0, format, canonical: false };
  if (scale < -9) {
    value = divideUp(value, -9 - scale);
    scale = -9;
  }
  if (base === 2) {
    if (compareMagnitudes(value, scale, maximumBinary, 0) > 0) {
      value = maximumBinary;
      scale = 0;
    }
    if (compareMagnitudes(value, scale, 1n, 0) < 0) return made(value, scale, "decimal", false);
  }
  return made(value, scale, format, canonical);

  function made(magnitude: bigint, at: number, as: Format, asIs: boolean): Parsed {
    return { mantissa: negative ? -magnitude : magnitude, exponent: at, format: as, canonical: asIs };
  }
}

function interpret(suffix: string): { base: 2 | 10; exponent: number; format: Format } {
  if (Object.hasOwn(decimals, suffix)) return { base: 10, exponent: decimals[suffix]!, format: "decimal" };
  if (Object.hasOwn(binaries, suffix)) return { base: 2, exponent: binaries[suffix]!, format: "binary" };
  if (!/^[eE][-+]?\d+$/.test(suffix)) throw new Error(suffixWrong);
  const exponent = Number(suffix.slice(1));
  if (Math.abs(exponent) > maximumExponent) throw new Error(suffixWrong);
  return { base: 10, exponent, format: "decimalExponent" };
}

/** Upstream computes these with big numbers, and then formats them again. */
function isSlow(base: 2 | 10, exponent: number, digits: string, fraction: string): boolean {
  if (base === 10) return digits.length + fraction.length > 18 || exponent - fraction.length < -9;
  return fraction !== "" || 14 - digits.length - Math.floor((exponent * 3) / 10) < 0;
}

interface Scanned {
  base: 2 | 10;
  exponent: number;
  digits: string;
  fraction: string;
  value: bigint;
}

/** Upstream prints a quantity as it was sent where a quick look finds it canonical, even with a plus or zeros in front. */
function keepsText({ base, exponent, digits, fraction, value }: Scanned): boolean {
  if (base === 2) return (value & 7n) !== 0n;
  const all = digits + fraction;
  return (exponent - fraction.length) % 3 === 0 && !all.endsWith("000") && all[0] !== "0";
}

/** Divides by 10^places, away from zero. */
function divideUp(value: bigint, places: number): bigint {
  const text = value < 0n ? (-value).toString() : value.toString();
  const sign = value < 0n ? -1n : 1n;
  if (text.length <= places) return value === 0n ? 0n : sign;
  const kept = BigInt(text.slice(0, -places));
  const rest = /[1-9]/.test(text.slice(-places));
  return sign * (rest ? kept + 1n : kept);
}

const power = (exponent: number): bigint => 10n ** BigInt(exponent);

function compareMagnitudes(a: bigint, aExponent: number, b: bigint, bExponent: number): number {
  const low = Math.min(aExponent, bExponent);
  const left = a * power(aExponent - low);
  const right = b * power(bExponent - low);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/**
 * Parses a quantity as upstream does: values finer than nano are rounded away from zero, binary ones end at 2^63-1.
 * Throws an Error in upstream's words. Exponents beyond 1000 are refused, where upstream takes any 32-bit one.
 */
export function parseQuantity(text: string): Quantity {
  const { mantissa, exponent, format } = parse(text);
  return { mantissa, exponent, format };
}

/** The canonical text: no fraction, the suffix as large as possible without losing anything. */
export function formatQuantity({ mantissa, exponent, format }: Quantity): string {
  if (mantissa === 0n) return "0";
  const negative = mantissa < 0n;
  const sign = negative ? "-" : "";
  const value = negative ? -mantissa : mantissa;
  if (format === "binary") {
    const whole = exactInteger(value, exponent);
    if (whole !== undefined && whole >= 1024n) return sign + binaryText(whole);
  }
  let digits = value.toString();
  const trimmed = digits.replace(/0+$/, "");
  let place = exponent + digits.length - trimmed.length;
  digits = trimmed;
  const down = ((place % 3) + 3) % 3;
  digits += "0".repeat(down);
  place -= down;
  const suffix = format === "decimalExponent" ? undefined : decimalSuffixes.get(place);
  if (suffix !== undefined) return sign + digits + suffix;
  return sign + digits + (place === 0 ? "" : `e${place}`);
}

function exactInteger(value: bigint, exponent: number): bigint | undefined {
  if (exponent >= 0) return value * power(exponent);
  const divisor = power(-exponent);
  return value % divisor === 0n ? value / divisor : undefined;
}

function binaryText(whole: bigint): string {
  let value = whole;
  let times = 0;
  while (value >= 1024n && value % 1024n === 0n && times < binarySuffixes.length - 1) {
    value /= 1024n;
    times++;
  }
  return `${value}${binarySuffixes[times]}`;
}

const known = new Map<string, string>();

/** Parses and prints: `0.1` becomes `100m`, `1.5Gi` becomes `1536Mi`. Throws as parseQuantity. */
export function canonicalQuantity(text: string): string {
  const seen = known.get(text);
  if (seen !== undefined) return seen;
  const parsed = parse(text.trim());
  const canonical = parsed.canonical ? text.trim() : formatQuantity(parsed);
  // Pods share a few quantities; a full cache is cleared.
  if (known.size >= 2000) known.clear();
  if (text.length <= 32) known.set(text, canonical);
  return canonical;
}

type Operand = string | Quantity;
const operand = (value: Operand): Quantity => (typeof value === "string" ? parseQuantity(value) : value);

/** Negative where a < b, 0 where they are the same number, positive where a > b. */
export function compareQuantities(a: Operand, b: Operand): number {
  const left = operand(a);
  const right = operand(b);
  return compareMagnitudes(left.mantissa, left.exponent, right.mantissa, right.exponent);
}

function combine(a: Operand, b: Operand, sign: 1n | -1n): Quantity {
  const left = operand(a);
  const right = operand(b);
  const exponent = Math.min(left.exponent, right.exponent);
  return {
    mantissa:
      left.mantissa * power(left.exponent - exponent) + sign * right.mantissa * power(right.exponent - exponent),
    exponent,
    format: left.mantissa === 0n ? right.format : left.format,
  };
}

/** The sum as canonical text, written like `a`; like `b` where `a` is zero. */
export const addQuantities = (a: Operand, b: Operand): string => formatQuantity(combine(a, b, 1n));
/** The difference as canonical text, written as addQuantities writes. */
export const subtractQuantities = (a: Operand, b: Operand): string => formatQuantity(combine(a, b, -1n));

/** The number times 10^-scale, rounded up (away from zero). */
function scaled(value: Operand, scale: number): bigint {
  const { mantissa, exponent } = operand(value);
  const places = exponent - scale;
  return places >= 0 ? mantissa * power(places) : divideUp(mantissa, -places);
}

/** Whole units, such as bytes; a fraction is rounded up. */
export const quantityValue = (value: Operand): bigint => scaled(value, 0);
/** Thousandths, such as millicores; a finer fraction is rounded up. */
export const quantityMilliValue = (value: Operand): bigint => scaled(value, -3);

/** The quantity without anything finer than a thousandth, rounded up; unchanged text where there is nothing finer. */
export function roundUpToMilli(text: string): string {
  // Only a suffix below milli, a fraction or an exponent can hide something finer.
  if (!/[nu.eE]/.test(text)) return text;
  const parsed = parseQuantity(text);
  if (parsed.exponent >= -3) return text;
  return formatQuantity({
    mantissa: divideUp(parsed.mantissa, -3 - parsed.exponent),
    exponent: -3,
    format: parsed.format,
  });
}
