/**
 * Domain names in wire form without the root's zero byte, as latin1 strings: `"\x03www\x07example"`. The root is `""`.
 * Suffixes of a name at the start of a label are names; concatenated names are a name.
 */

const longestLabel = 63;
/** In wire form without the root's byte. */
export const longestName = 254;

/** ASCII letters in lower case; other bytes are not changed (RFC 4343). Lengths of labels are below the letters. */
export function lowerCase(name: string): string {
  if (!/[A-Z]/.test(name)) return name;
  if (!/[\x80-\xff]/.test(name)) return name.toLowerCase();
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * The name with these labels, in latin1. Undefined when a label has no or more than 63 bytes, or the name is longer
 * than 255 bytes.
 */
export function nameOf(labels: readonly string[]): string | undefined {
  let name = "";
  for (const label of labels) {
    if (label.length === 0 || label.length > longestLabel) return undefined;
    name += String.fromCharCode(label.length) + label;
  }
  return name.length > longestName ? undefined : name;
}

/** A name from text such as `web.default.svc.`, without escapes. Undefined as for `nameOf`. */
export const parseName = (text: string): string | undefined =>
  text === "" || text === "." ? "" : nameOf(text.replace(/\.$/, "").split("."));

/** The labels, the host's first. */
export function labelsOf(name: string): string[] {
  const labels: string[] = [];
  for (let at = 0; at < name.length; ) {
    const next = at + 1 + name.charCodeAt(at);
    labels.push(name.slice(at + 1, next));
    at = next;
  }
  return labels;
}

/** As text that ends with a dot, for logs and tests. Dots and bytes that are not printable ASCII are escaped. */
export const textOf = (name: string): string =>
  `${labelsOf(name)
    .map((label) => label.replace(/[.\\]|[^!-~]/g, escapeOf))
    .join(".")}.`;

const escapeOf = (byte: string): string =>
  byte === "." || byte === "\\" ? `\\${byte}` : `\\${String(byte.charCodeAt(0)).padStart(3, "0")}`;

/** Whether `name` is `zone` or below it; both in lower case. */
export function isInZone(name: string, zone: string): boolean {
  if (!name.endsWith(zone)) return false;
  const end = name.length - zone.length;
  let at = 0;
  while (at < end) at += 1 + name.charCodeAt(at);
  return at === end;
}
