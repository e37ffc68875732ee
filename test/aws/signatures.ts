import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { WhoIs } from "./sts.ts";

/*
 * API Gateway's check for AWS_IAM: the Authorization header is verified as AWS documents Signature Version 4, over the
 * path and query as they arrived, the signed headers, and the hash of the body in the request.
 */

/** The signer of a request, as API Gateway passes it to functions. */
export interface Principal {
  arn: string;
  account: string;
  id: string;
}

export type Signed = (request: IncomingMessage) => Principal | undefined;

const service = "execute-api";
/** The validity of a signature before and after its time. */
const skew = 5 * 60_000;

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
const mac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const quoted = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

/** Checks signatures of known keys, made for one region. */
export const signedBy =
  (whoIs: WhoIs, region: string): Signed =>
  (request) => {
    const { authorization = "" } = request.headers;
    const read = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
    const [, credential = "", names = "", given = ""] = read.exec(authorization) ?? [];
    const [accessKey = "", date = "", ...scope] = credential.split("/");
    const known = whoIs(accessKey);
    const stamp = String(request.headers["x-amz-date"] ?? "");
    if (!known || scope.join("/") !== `${region}/${service}/aws4_request` || !stamp.startsWith(date)) return undefined;
    if (!names.split(";").includes("host") || !isRecent(stamp)) return undefined;
    const wanted = signatureOf(request, { names, stamp, date, region, secret: known.secret });
    if (!timingSafeEqual(Buffer.from(wanted), Buffer.from(given))) return undefined;
    const session = known.arn.split("/").at(-1) ?? "";
    return { arn: known.arn, account: known.arn.split(":")[4] ?? "", id: `${accessKey}:${session}` };
  };

const isRecent = (stamp: string): boolean => {
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  return Math.abs(Date.now() - at) < skew;
};

interface Parts {
  names: string;
  stamp: string;
  date: string;
  region: string;
  secret: string;
}

function signatureOf(request: IncomingMessage, { names, stamp, date, region, secret }: Parts): string {
  const url = new URL(request.url ?? "/", "http://front");
  const query = [...url.searchParams].map(([name, value]) => `${quoted(name)}=${quoted(value)}`).sort();
  const headers = names.split(";").map((name) => `${name}:${String(request.headers[name] ?? "").trim()}\n`);
  const canonical = [
    request.method,
    url.pathname.split("/").map(quoted).join("/"),
    query.join("&"),
    headers.join(""),
    names,
    String(request.headers["x-amz-content-sha256"] ?? hash("")),
  ].join("\n");
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", stamp, scope, hash(canonical)].join("\n");
  const key = mac(mac(mac(mac(`AWS4${secret}`, date), region), service), "aws4_request");
  return mac(key, text).toString("hex");
}

/** Whether a body is the one that was signed. */
export const isBodySigned = (request: IncomingMessage, body: Buffer): boolean => {
  const given = request.headers["x-amz-content-sha256"] ?? hash("");
  return given === createHash("sha256").update(body).digest("hex");
};
