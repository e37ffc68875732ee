import * as z from "zod";
import type { ApiRequest } from "#apiserver";
import { requestEntityTooLarge } from "#base";

/** A request as API Gateway's Lambda proxy integration delivers it (REST, payload version 1.0). */
export const ApiEvent = z.object({
  resource: z.string(),
  path: z.string().startsWith("/"),
  httpMethod: z.string().min(1),
  multiValueHeaders: z.record(z.string(), z.array(z.string())).nullable(),
  multiValueQueryStringParameters: z.record(z.string(), z.array(z.string())).nullable(),
  body: z.string().nullable(),
  isBase64Encoded: z.boolean(),
  requestContext: z.object({
    requestId: z.string(),
    identity: z.object({
      sourceIp: z.string().nullish(),
      accountId: z.string().nullish(),
      userArn: z.string().nullish(),
      user: z.string().nullish(),
    }),
  }),
});

/** Below Lambda's own limit of 6 MB, which Base64 reaches sooner; upstream's limit is 3 MB. */
const bodyLimit = 3 * 1024 * 1024;
/** Where API Gateway checks signatures. */
const signedPrefix = "/iam";
/** API Gateway passes no upgrades. A client that will connect by a ticket instead names its upgrade in this header. */
const upgradeHeader = "x-skiff-upgrade";
/**
 * Seconds. A watch occupies a Lambda: one of a single object lasts a minute at most, others as long as a stream may
 * last.
 */
const watchSeconds = { named: 60, longest: 14 * 60 };

/** The plain request of an event. `signal` aborts when the client has disconnected. */
export function requestOf(event: z.infer<typeof ApiEvent>, signal: AbortSignal): ApiRequest {
  const { httpMethod, body, isBase64Encoded, requestContext } = event;
  const isSigned = event.resource === signedPrefix || event.resource.startsWith(`${signedPrefix}/`);
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(event.multiValueQueryStringParameters ?? {})) {
    for (const value of values) query.append(name, value);
  }
  limitWatch(query);
  const headers: Record<string, string> = {};
  const repeated: Record<string, readonly string[]> = {};
  for (const [given, values] of Object.entries(event.multiValueHeaders ?? {})) {
    const name = given.toLowerCase();
    headers[name] = values.join(",");
    // Each value is a group or the like of its own, and may hold the comma that joins them.
    if (name.startsWith("impersonate-")) repeated[name] = [...(repeated[name] ?? []), ...values];
  }
  if (isSigned && headers[upgradeHeader]) headers["upgrade"] = headers[upgradeHeader];
  const { userArn, accountId, user, sourceIp } = requestContext.identity;
  // Only values that API Gateway has verified; on the other surface these fields are empty.
  const principal = isSigned && userArn ? { arn: userArn, account: accountId ?? "", id: user ?? "" } : undefined;
  return {
    method: httpMethod,
    path: isSigned ? event.path.slice(signedPrefix.length) || "/" : event.path,
    query,
    headers,
    repeated,
    body: async () => {
      const bytes = Buffer.from(body ?? "", isBase64Encoded ? "base64" : "utf8");
      if (bytes.length > bodyLimit) throw requestEntityTooLarge(`limit is ${bodyLimit}`);
      return bytes;
    },
    signal,
    peer: { ...(principal ? { principal } : {}), ...(sourceIp ? { address: sourceIp } : {}) },
  };
}

export const isWatch = (query: URLSearchParams): boolean => ["true", "1"].includes(query.get("watch") ?? "");

function limitWatch(query: URLSearchParams): void {
  if (!isWatch(query)) return;
  const isNamed = /(^|,)metadata\.name=/.test(query.get("fieldSelector") ?? "");
  const longest = isNamed ? watchSeconds.named : watchSeconds.longest;
  const requested = Number(query.get("timeoutSeconds") ?? longest);
  if (Number.isFinite(requested))
    query.set("timeoutSeconds", String(requested > 0 ? Math.min(requested, longest) : longest));
}
