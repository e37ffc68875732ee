/** The head of a message, as Node's parser delivers it. */
interface Head {
  /** Names and values in turn. */
  rawHeaders: readonly string[];
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Headers of one connection. */
const hopByHop = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** And those of an upgrade: API Gateway would refuse it. */
const isHopByHop = (name: string): boolean => hopByHop.has(name) || name.startsWith("sec-websocket-");

/**
 * A client's headers for a request to API Gateway, by names in lower case; repeated ones keep each value, as those of
 * impersonated groups must.
 */
export function requestHeaders({ rawHeaders }: Pick<Head, "rawHeaders">): Record<string, string[]> {
  const headers: Record<string, string[]> = Object.create(null);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (!isHopByHop(name)) headers[name] = [...(headers[name] ?? []), rawHeaders[at + 1]!];
  }
  return headers;
}

/**
 * The headers of API Gateway's response for the client, names and values in turn; those that API Gateway has renamed get
 * their names back.
 */
export function responseHeaders({ rawHeaders, headers }: Head): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const given = rawHeaders[at]!;
    const name = given.replace(/^x-amzn-remapped-/i, "");
    if (name !== given && headers[name.toLowerCase()] !== undefined) continue;
    if (isHopByHop(name.toLowerCase()) && name.toLowerCase() !== "content-length") continue;
    kept.push(name, rawHeaders[at + 1]!);
  }
  return kept;
}
