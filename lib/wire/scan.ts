import { badRequest } from "#base";

/** The deepest nesting of a body. No object of the API comes near; recursion after this check is safe. */
export const maximumDepth = 500;

/** The most findings, as in upstream's strict decoder (`saveStrictError` of sigs.k8s.io/json). */
export const mostFaults = 100;
/** The most characters of all paths for one text: a key may be megabytes long and occur in the path of each finding. */
const mostPathText = 1024 * 1024;

/**
 * Members that a later one hides, as paths such as `spec.containers[0].name`, each once, in the order of the text. The
 * text must be valid JSON. No more than `mostFaults` are named, and none beyond `mostPathText`.
 */
export function duplicateKeys(text: string): string[] {
  const duplicates = new Set<string>();
  let room = mostPathText;
  visitKeys(text, ({ path, length, isHidden }) => {
    if (!isHidden) return true;
    room -= length();
    if (room >= 0) duplicates.add(path());
    return room > 0 && duplicates.size < mostFaults;
  });
  return [...duplicates];
}

/**
 * Sorts findings by their position in the text, as a decoder meets them: an unknown member at its first position, a
 * duplicate at its second. Beyond `mostPathText` the order is kept.
 */
export function inTextOrder(
  text: string,
  duplicates: readonly string[],
  unknown: readonly string[],
): { path: string; isDuplicate: boolean }[] {
  const [hidden, strange] = [new Set(duplicates), new Set(unknown)];
  const names = new Set([...duplicates, ...unknown].map(lastPart));
  const met: { path: string; isDuplicate: boolean }[] = [];
  let room = mostPathText;
  visitKeys(text, ({ key, path, length, isHidden }) => {
    if (!names.has(lastPart(key))) return true;
    room -= length();
    if (room < 0) return false;
    const known = path();
    if ((isHidden ? hidden : strange).delete(known)) met.push({ path: known, isDuplicate: isHidden });
    return hidden.size + strange.size > 0;
  });
  const rest = (paths: Set<string>, isDuplicate: boolean) => [...paths].map((path) => ({ path, isDuplicate }));
  return [...met, ...rest(hidden, true), ...rest(strange, false)].slice(0, mostFaults);
}

/** What follows the last dot: the same of a key and of every path that ends with it. */
const lastPart = (text: string): string => text.slice(text.lastIndexOf(".") + 1);

/** A member of an object in a text. */
interface Visited {
  key: string;
  /** Whether the same object has it before. */
  isHidden: boolean;
  path(): string;
  /** About how many characters the path has. */
  length(): number;
}

/** Calls `visit` for each member of each object of JSON text, in order, until it returns false. */
function visitKeys(text: string, visit: (visited: Visited) => boolean): void {
  const stack: Level[] = [];
  let top: Level | undefined;
  const path = () => pathOf(stack);
  const length = () => stack.reduce((sum, { key }) => sum + key.length + 1, 0);
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case openBrace:
      case openBracket:
        top = { keys: new Set(), key: "", index: 0, object: text.charCodeAt(at) === openBrace };
        stack.push(top);
        break;
      case closeBrace:
      case closeBracket:
        stack.pop();
        top = stack.at(-1);
        break;
      case comma:
        if (top) top.index++;
        break;
      case quote: {
        const end = endOfString(text, at);
        if (top?.object && isKey(text, end)) {
          top.key = stringAt(text, at, end);
          if (!visit({ key: top.key, isHidden: top.keys.has(top.key), path, length })) return;
          top.keys.add(top.key);
        }
        at = end;
      }
    }
  }
}

/** Throws ApiError 400 when the text nests deeper than `maximumDepth`. Cheap: looks at brackets outside strings. */
export function checkDepth(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (code === openBrace || code === openBracket) {
      if (++depth > maximumDepth) throw badRequest(`the body of the request nests deeper than ${maximumDepth} levels`);
    } else if (code === closeBrace || code === closeBracket) depth--;
  }
}

/** A number of JSON text that is written with a fraction or an exponent. */
export interface FractionalNumber {
  path: (string | number)[];
  /** As it was sent, such as `3.0`. */
  source: string;
}

/** May match inside text, too: that only costs time. */
const mayBeFractional = /[:[,]\s*-?\d+[.eE]/;
const numberHere = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/**
 * The numbers that Go does not read into an integer, whatever their value. The text must be valid JSON. They are found
 * one at a time at each iteration: a body may hold a million, each with a path of hundreds of steps.
 */
export function fractionalNumbers(text: string): Iterable<FractionalNumber> {
  return mayBeFractional.test(text) ? { [Symbol.iterator]: () => fractionsOf(text) } : [];
}

function* fractionsOf(text: string): Generator<FractionalNumber> {
  const path: (string | number)[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === openBrace) path.push("");
    else if (code === openBracket) path.push(0);
    else if (code === closeBrace || code === closeBracket) path.pop();
    else if (code === comma) {
      const last = path.at(-1);
      if (typeof last === "number") path[path.length - 1] = last + 1;
    } else if (code === quote) {
      const end = endOfString(text, at);
      const isName = typeof path.at(-1) === "string" && isKey(text, end);
      if (isName) path[path.length - 1] = stringAt(text, at, end);
      at = end;
    } else if (code === minus || (code >= zero && code <= nine)) {
      numberHere.lastIndex = at;
      const source = numberHere.exec(text)![0];
      if (/[.eE]/.test(source)) yield { path: [...path], source };
      at += source.length - 1;
    }
  }
}

interface Level {
  object: boolean;
  keys: Set<string>;
  key: string;
  index: number;
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [minus, zero, nine] = [0x2d, 0x30, 0x39];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** The position of the closing quote of the string at `start`; the text's end where there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (before > start && text.charCodeAt(before) === backslash) before--;
    // An even number of backslashes escapes none but themselves.
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
}

/** The value of the string between two quotes. */
function stringAt(text: string, start: number, end: number): string {
  const inside = text.slice(start + 1, end);
  return inside.includes("\\") ? (JSON.parse(text.slice(start, end + 1)) as string) : inside;
}

function isKey(text: string, end: number): boolean {
  for (let at = end + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === colon) return true;
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return false;
  }
  return false;
}

function pathOf(stack: readonly Level[]): string {
  let path = "";
  for (const level of stack) {
    if (!level.object) path += `[${level.index}]`;
    else path += path === "" ? level.key : `.${level.key}`;
  }
  return path;
}
