export interface LinkContext {
  /** The host and port that the request was sent to. */
  targetHost: string;
  /** The client's Host header. */
  clientHost: string;
  /** The part of the client's path before the target's. */
  prefix: string;
}

/**
 * A link of a target's response as the client has to follow it: an absolute path gets the proxy's prefix, also behind
 * the client's own host, or the target's, which is removed. Relative links, and links to other hosts, stay (upstream's
 * Transport.rewriteURL).
 */
export function rewriteLink(link: string, { targetHost, clientHost, prefix }: LinkContext): string {
  const parts = /^([A-Za-z][A-Za-z\d+.-]*:)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/s.exec(link);
  if (!parts) return link;
  const [, scheme = "", host = "", path = "", rest = ""] = parts;
  if (host !== "" && host !== targetHost && host !== clientHost) return link;
  if (!path.startsWith("/") || (scheme !== "" && host === "")) return link;
  const origin = host !== "" && host === clientHost ? `${scheme}//${host}` : "";
  return `${origin}${path.startsWith(prefix) ? path : joined(prefix, path)}${rest}`;
}

/** Both paths as one, cleaned as Go's path.Join; a slash at the end stays. */
export function joined(prefix: string, path: string): string {
  const segments: string[] = [];
  for (const segment of `${prefix}/${path}`.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}${path.endsWith("/") ? "/" : ""}`;
}
