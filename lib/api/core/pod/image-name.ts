const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const domainName =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::\d+)?$/;
const tagName = /^\w[\w.-]{0,127}$/;
const digestName = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/** Characters of an image's name, its registry aside. */
const longestName = 255;

/**
 * The tag of an image: `latest` where neither tag nor digest is named, empty where only a digest is, undefined where
 * the text is no image's name.
 */
export function imageTag(image: string): string | undefined {
  if (/^[a-f0-9]{64}$/.test(image)) return undefined;
  const [named, digest, ...more] = image.split("@") as [string, ...string[]];
  if (more.length > 0 || (digest !== undefined && !digestName.test(digest))) return undefined;
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagName.test(tag)) return undefined;
  const parts = (hasTag ? named.slice(0, colon) : named).split("/");
  const first = parts[0]!;
  if (parts.length > 1 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first)) {
    if (!domainName.test(first)) return undefined;
    parts.shift();
  }
  if (!parts.every((part) => component.test(part)) || parts.join("/").length > longestName) return undefined;
  return tag ?? (digest === undefined ? "latest" : "");
}

/** The default pull policy of an image: the tag `latest` may move. */
export const defaultPullPolicy = (image: string | undefined): string =>
  imageTag(image ?? "") === "latest" ? "Always" : "IfNotPresent";
