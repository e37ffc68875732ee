import { parseTime } from "#base";

/** A well-formed token of `aws eks get-token`: the request to STS. */
export interface StsToken {
  /** The presigned request. */
  url: string;
  /** When it expires, in milliseconds: STS checks the date alone. */
  expires: number;
}

const prefix = "k8s-aws-v1.";
const longest = 4096;
const lifetime = 15 * 60_000;
/** The parameters of a presigned request. */
const allowed = new Set([
  "action",
  "version",
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-security-token",
  "x-amz-signature",
  "x-amz-signedheaders",
]);
/** The header that binds a token to one cluster. */
export const clusterHeader = "x-k8s-aws-id";

/** Whether a bearer token has the prefix of these tokens. */
export const isStsToken = (token: string): boolean => token.startsWith(prefix);

/**
 * Parses a token by the rules of aws-iam-authenticator. Throws an Error that names the fault, for the log only; it
 * never holds a part of the token. `hosts` are those of the partition's STS, `now` is in milliseconds.
 */
export function readToken(token: string, hosts: ReadonlySet<string>, now: number): StsToken {
  if (token.length > longest) throw new Error(`it is longer than ${longest} characters`);
  if (!isStsToken(token)) throw new Error(`it does not begin with ${prefix}`);
  const encoded = token.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) throw new Error("it is not Base64 for URLs without padding");
  const bytes = Buffer.from(encoded, "base64url");
  if (bytes.toString("base64url") !== encoded) throw new Error("it is not Base64 for URLs without padding");
  const text = bytes.toString("latin1");
  // The parser ignores tabs and line ends: the text that is sent must be the text that was checked.
  if (!/^[!-~]+$/.test(text)) throw new Error("its URL has characters that no URL has");
  const url = parsed(text);
  checkPlace(url, text, hosts);
  const query = checkQuery(url);
  const date = dateOf(query.get("x-amz-date") ?? "");
  if (now >= date + lifetime) throw new Error("its date is too old");
  if (date > now + lifetime) throw new Error("its date is in the future");
  return { url: text, expires: date + lifetime };
}

function parsed(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new Error("it contains no URL");
  }
}

function checkPlace(url: URL, text: string, hosts: ReadonlySet<string>): void {
  if (url.protocol !== "https:") throw new Error("its URL is not https");
  if (url.username !== "" || url.password !== "") throw new Error("its URL names a user");
  // The parser also drops the default port and changes letters.
  if (!text.startsWith(`https://${url.host}/?`) || url.port !== "") throw new Error("its URL has an unexpected form");
  if (!hosts.has(url.host)) throw new Error("its host is not STS");
  if (url.pathname !== "/") throw new Error("its path is not /");
  if (url.hash !== "" || text.includes("#")) throw new Error("its URL has a fragment");
}

/** The parameters by their names in lower case, each only once (CVE-2022-2385). */
function checkQuery(url: URL): Map<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const key = name.toLowerCase();
    if (query.has(key)) throw new Error("a parameter occurs twice");
    if (!allowed.has(key)) throw new Error("a parameter is not one of STS's");
    query.set(key, value);
  }
  if (query.get("action") !== "GetCallerIdentity") throw new Error("its action is not GetCallerIdentity");
  const signed = (query.get("x-amz-signedheaders") ?? "").toLowerCase().split(";");
  if (!signed.includes(clusterHeader)) throw new Error(`it does not sign ${clusterHeader}`);
  const expires = query.get("x-amz-expires") ?? "";
  if (!/^\d{1,4}$/.test(expires) || Number(expires) > 900) throw new Error("it expires outside of 0 to 900 s");
  return query;
}

function dateOf(text: string): number {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (!match) throw new Error("its date is not in the form of AWS");
  const [year, month, day, hour, minute, second] = match.slice(1);
  return parseTime(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
