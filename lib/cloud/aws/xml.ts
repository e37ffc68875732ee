/** The content of an element: text, or elements by name; repeated elements are an array. */
export type Xml = string | { [name: string]: Xml | Xml[] };

const token = /<(\/?)([A-Za-z_][\w:.-]*)[^>]*?(\/?)>|([^<]+)/g;
const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const decode = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (entity, hex?: string, decimal?: string, name?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return entities[name ?? ""] ?? entity;
  });

/**
 * Reads a response of a Query service: elements and text. These responses have no comments and no CDATA; attributes are
 * ignored.
 */
export function readXml(text: string): { [name: string]: Xml | Xml[] } {
  const root: { children: { [name: string]: Xml | Xml[] }; text: string } = { children: {}, text: "" };
  const stack = [root];
  const put = (name: string, value: Xml): void => {
    const { children } = stack.at(-1)!;
    const before = children[name];
    children[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  };
  for (const [, closing, name = "", single, words] of text.replace(/<[?!][^>]*>/g, "").matchAll(token)) {
    if (words !== undefined) stack.at(-1)!.text += words;
    else if (single) put(name, "");
    else if (!closing) stack.push({ children: {}, text: "" });
    else if (stack.length > 1) {
      const { children, text: inner } = stack.pop()!;
      put(name, Object.keys(children).length > 0 ? children : decode(inner.trim()));
    }
  }
  return root.children;
}

/** The value at a path, or undefined. */
export function at(from: Xml | Xml[] | undefined, ...path: string[]): Xml | undefined {
  let value = Array.isArray(from) ? from[0] : from;
  for (const name of path) {
    const next: Xml | Xml[] | undefined = typeof value === "object" ? value[name] : undefined;
    value = Array.isArray(next) ? next[0] : next;
  }
  return value;
}

/** The text at a path, or an empty string. */
export function textAt(from: Xml | undefined, ...path: string[]): string {
  const value = at(from, ...path);
  return typeof value === "string" ? value : "";
}

/** The elements `item` of a list at a path. */
export function itemsAt(from: Xml | undefined, ...path: string[]): Xml[] {
  const list = at(from, ...path);
  const items = typeof list === "object" ? list["item"] : undefined;
  return items === undefined ? [] : Array.isArray(items) ? items : [items];
}
