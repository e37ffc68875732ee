/** An element of DER: its tag with class and form, its content, and the whole of it. */
export interface Element {
  tag: number;
  content: Uint8Array;
  whole: Uint8Array;
}

export const tags = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
} as const;

const truncated = "asn1: syntax error: data truncated";

/** The elements that follow each other in `bytes`. Throws an Error for malformed DER. */
export function elementsOf(bytes: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const element = elementAt(bytes, at);
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

/** The only element of `bytes`, which must have the tag. Throws an Error for everything else. */
export function only(bytes: Uint8Array, tag: number): Element {
  if (bytes.length === 0) throw new Error("asn1: syntax error: sequence truncated");
  // As in Go, another tag is the first fault.
  if (bytes[0] !== tag) throw mismatch();
  const element = elementAt(bytes, 0);
  if (element.whole.length !== bytes.length) throw new Error("asn1: syntax error: trailing data");
  return element;
}

/** The members of a sequence or set. Throws an Error where `element` is absent or has another tag. */
export function membersOf(element: Element | undefined, tag: number): Element[] {
  if (element?.tag !== tag) throw mismatch();
  return elementsOf(element.content);
}

/** An object identifier as `1.2.840.113549`. */
export function oidOf(element: Element | undefined): string {
  if (element?.tag !== tags.oid || element.content.length === 0) throw mismatch();
  const parts: number[] = [];
  let value = 0;
  for (const byte of element.content) {
    value = value * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    parts.push(value);
    value = 0;
  }
  const [first = 0, ...rest] = parts;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join(".");
}

/** The bytes of a bit string whose length is whole bytes. */
export function bitsOf(element: Element | undefined): Uint8Array {
  if (element?.tag !== tags.bitString || element.content[0] !== 0) throw mismatch();
  return element.content.subarray(1);
}

const latin = new TextDecoder("latin1");
const utf8 = new TextDecoder();

/** The text of a character string; undefined for other types. */
export function textIn({ tag, content }: Element): string | undefined {
  switch (tag) {
    case 0x0c:
      return utf8.decode(content);
    case 0x12:
    case 0x13:
    case 0x14:
    case 0x16:
      return latin.decode(content);
    case 0x1e:
      return Array.from({ length: content.length >> 1 }, (_, at) =>
        String.fromCharCode(content[2 * at]! * 256 + content[2 * at + 1]!),
      ).join("");
    default:
      return undefined;
  }
}

const mismatch = (): Error => new Error("asn1: structure error: tags don't match");

function elementAt(bytes: Uint8Array, at: number): Element {
  const tag = bytes[at]!;
  if ((tag & 0x1f) === 0x1f) throw mismatch();
  const first = bytes[at + 1];
  if (first === undefined) throw new Error(truncated);
  let start = at + 2;
  let length = first;
  if (first & 0x80) {
    const count = first & 0x7f;
    if (count === 0) throw new Error("asn1: syntax error: indefinite length found (not DER)");
    if (count > 4) throw new Error("asn1: structure error: length too large");
    length = 0;
    for (const end = start + count; start < end; start++) {
      const byte = bytes[start];
      if (byte === undefined) throw new Error(truncated);
      length = length * 256 + byte;
    }
    if (length < 0x80) throw new Error("asn1: structure error: non-minimal length");
  }
  const end = start + length;
  if (end > bytes.length) throw new Error(truncated);
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) };
}
