import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/*
 * GetCallerIdentity of STS for presigned requests: the signature is verified as AWS documents it (Signature Version 4),
 * over the signed headers with their values here. A token for another cluster is refused, as by AWS.
 */

export type WhoIs = (accessKey: string) => { arn: string; secret: string } | undefined;

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
const mac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const quoted = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

/** Whether a presigned GET of `/` has the signature of this secret. */
export function isSigned(url: URL, header: (name: string) => string | undefined, secret: string): boolean {
  const [, date = "", region = "", service = ""] = (url.searchParams.get("X-Amz-Credential") ?? "").split("/");
  const given = url.searchParams.get("X-Amz-Signature");
  const query = [...url.searchParams]
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => `${quoted(name)}=${quoted(value)}`)
    .sort()
    .join("&");
  const signed = (url.searchParams.get("X-Amz-SignedHeaders") ?? "").split(";");
  const headers = signed.map((name) => `${name}:${(header(name) ?? "").trim()}\n`).join("");
  const request = ["GET", "/", query, headers, signed.join(";"), hash("")].join("\n");
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", url.searchParams.get("X-Amz-Date"), scope, hash(request)].join("\n");
  const key = mac(mac(mac(mac(`AWS4${secret}`, date), region), service), "aws4_request");
  return mac(key, text).toString("hex") === given;
}

export interface StsServer {
  url: string;
  stop(): Promise<void>;
}

/** Starts the stand-in. Tokens contain the host that was signed. */
export async function startSts(whoIs: WhoIs): Promise<StsServer> {
  const server = createServer((request, response) => {
    const found = identify(request, whoIs);
    if (!found) return void response.writeHead(403, { "content-type": "text/xml" }).end("<ErrorResponse/>");
    const { arn, accessKey } = found;
    const GetCallerIdentityResult = { Account: arn.split(":")[4], Arn: arn, UserId: `${accessKey}:session` };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ GetCallerIdentityResponse: { GetCallerIdentityResult } }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function identify(request: IncomingMessage, whoIs: WhoIs): { arn: string; accessKey: string } | undefined {
  const url = new URL(request.url ?? "/", "http://sts");
  const [accessKey = "", , region] = (url.searchParams.get("X-Amz-Credential") ?? "").split("/");
  const known = whoIs(accessKey);
  const header = (name: string): string | undefined =>
    name === "host" ? `sts.${region}.amazonaws.com` : (request.headers[name] as string | undefined);
  return known && isSigned(url, header, known.secret) ? { arn: known.arn, accessKey } : undefined;
}
