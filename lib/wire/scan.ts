import { badRequest } from "#base";

/** How deep a body may nest. No object of the API comes near; recursion anywhere behind this is safe. */
export const maximumDepth = 500;

/**
 * Members that a later one hides, as paths such as `spec.containers[0].name`, each once, in the order of the text. The
 * text must be valid JSON.
 */
export function duplicateKeys(text: string): string[] {
  const duplicates = new Set<string>();
  visitKeys(text, (path, isHidden) => {
    if (isHidden) duplicates.add(path());
  });
  return [...duplicates];
}

/**
 * Sorts what is said of members by where the text has them, as a decoder meets them: an unknown member where it first
 * stands, a duplicate where it stands again.
 */
export function inTextOrder(
  text: string,
  duplicates: readonly string[],
  unknown: readonly string[],
): { path: string; isDuplicate: boolean }[] {
  const [hidden, strange] = [new Set(duplicates), new Set(unknown)];
  const met: { path: string; isDuplicate: boolean }[] = [];
  visitKeys(text, (path, isDuplicate) => {
    const known = path();
    if ((isDuplicate ? hidden : strange).delete(known)) met.push({ path: known, isDuplicate });
  });
  return met;
}

/** Calls `visit` for each member of each object of JSON text, in order, without building anything. */
function visitKeys(text: string, visit: (path: () => string, isHidden: boolean) => void): void {
  const stack: Level[] = [];
  let top: Level | undefined;
  const path = () => pathOf(stack);
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
          visit(path, top.keys.has(top.key));
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

/** Finds the numbers that Go reads into no integer, whatever their value. The text must be valid JSON. */
export function fractionalNumbers(text: string): FractionalNumber[] {
  if (!mayBeFractional.test(text)) return [];
  const found: FractionalNumber[] = [];
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
      if (/[.eE]/.test(source)) found.push({ path: [...path], source });
      at += source.length - 1;
    }
  }
  return found;
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

/** Where the quote stands that ends the string which begins at `start`; the text's end where there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (before > start && text.charCodeAt(before) === backslash) before--;
    // An even number of backslashes escapes none but themselves.
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
}

/** What the string between two quotes says. */
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
