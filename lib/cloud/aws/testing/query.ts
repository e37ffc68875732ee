/** A call's parameters, with lists as arrays. */
// biome-ignore lint/suspicious/noExplicitAny: the input of any action
export type Input = any;

/** An error in the words of a service. */
export class QueryError extends Error {
  constructor(code: string, message = code) {
    super(message);
    this.name = code;
  }
}

/** Reads `Filter.1.Name=…` (EC2) and `Tags.member.1.Key=…` (others) into objects and lists. */
export function readQuery(body: string): Record<string, Input> {
  const root: Record<string, Input> = {};
  for (const [name, value] of new URLSearchParams(body)) {
    const path = name.split(".").filter((part) => part !== "member");
    let parent: Record<string, Input> = root;
    for (const part of path.slice(0, -1)) parent = parent[part] ??= {};
    parent[path.at(-1)!] = value;
  }
  return listed(root);
}

function listed(value: Input): Input {
  if (typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, inner]): [string, Input] => [key, listed(inner)]);
  if (entries.length > 0 && entries.every(([key]) => /^\d+$/.test(key))) {
    return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, inner]) => inner);
  }
  return Object.fromEntries(entries);
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

/** Writes a value as XML; the elements of lists are named `item`. */
export function writeXml(value: Input, item: string): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.map((one) => `<${item}>${writeXml(one, item)}</${item}>`).join("");
  if (typeof value !== "object") return escaped(String(value));
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([key, inner]) => `<${key}>${writeXml(inner, item)}</${key}>`)
    .join("");
}
