import type { AccessDecision } from "#api/meta";
import type { User } from "#auth";
import { formatMicroTime, type Status, uuid } from "#base";
import { type ApiRequest, type ApiResponse, type RequestInfo, valuesOf } from "./request.ts";
import type { Server } from "./server.ts";

/** A user in an audit event: authentication.k8s.io/v1 UserInfo. */
export interface AuditUser {
  username?: string;
  uid?: string;
  groups?: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/**
 * An event of audit.k8s.io/v1 at level Metadata. It holds neither bodies nor headers, and no error message that may
 * repeat parts of a body.
 */
export interface AuditEvent {
  kind: "Event";
  apiVersion: "audit.k8s.io/v1";
  level: "Metadata";
  auditID: string;
  /** ResponseStarted for connections that are passed on: the server does not see their end. */
  stage: "ResponseComplete" | "ResponseStarted";
  requestURI: string;
  verb: string;
  user: AuditUser;
  impersonatedUser?: AuditUser;
  sourceIPs?: string[];
  userAgent?: string;
  objectRef?: {
    resource: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
    apiVersion: string;
    subresource?: string;
  };
  responseStatus: { metadata: object; status?: string; message?: string; reason?: string; code: number };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  annotations?: Record<string, string>;
}

/** Receives events. It must neither throw nor wait. */
export type AuditSink = (event: AuditEvent) => void;

/** What the filters learn of a request. */
export interface Trail {
  receivedAt: number;
  /** Warnings for the client, in answers and errors alike. */
  warnings: string[];
  user?: User;
  impersonated?: User;
  decision?: NonNullable<AccessDecision>;
  refused?: Status;
}

/** Upstream's policies leave these out: they are frequent and carry no information. */
const health = /^\/(?:healthz|livez|readyz|version)(?:\/|$)/;
const longestAgent = 1024;
const longestId = 64;
/** Reasons of errors whose messages may repeat parts of a body, or details of a failure. */
const repeatingReasons = new Set(["BadRequest", "Invalid", "InternalError"]);

/**
 * Passes an event to the sink when the answer has been sent: at once, or when the stream ends. The answer gets the
 * Audit-ID of the request, or a new one.
 */
export function audit(
  server: Server,
  { request, info, trail }: { request: ApiRequest; info: RequestInfo; trail: Trail },
  response: ApiResponse,
): ApiResponse {
  const { audit: sink } = server;
  const { clock, random } = server.resources;
  if (!sink || (!info.resource && health.test(info.path))) return response;
  const given = request.headers["audit-id"] ?? "";
  const auditID = given === "" || given.length > longestId ? uuid(random) : given;
  const answered = { ...response, headers: { ...response.headers, "audit-id": auditID } };
  const record = (): void => sink(eventOf({ request, info, trail }, response, auditID, clock.now()));
  if (!(response.body instanceof Uint8Array)) return { ...answered, body: withEnd(response.body, record) };
  record();
  return answered;
}

function eventOf(
  { request, info, trail }: { request: ApiRequest; info: RequestInfo; trail: Trail },
  { status, createdName }: ApiResponse,
  auditID: string,
  now: number,
): AuditEvent {
  const { user, impersonated, decision, refused, receivedAt } = trail;
  const agent = request.headers["user-agent"] ?? "";
  const ips = sourcesOf(request);
  const query = request.query.toString();
  return {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID,
    stage: status === 101 ? "ResponseStarted" : "ResponseComplete",
    requestURI: query === "" ? request.path : `${request.path}?${query}`,
    verb: info.verb,
    user: user ? userOf(user) : {},
    ...(impersonated ? { impersonatedUser: userOf(impersonated) } : {}),
    ...(ips.length > 0 ? { sourceIPs: ips } : {}),
    ...(agent === ""
      ? {}
      : { userAgent: agent.length > longestAgent ? `${agent.slice(0, longestAgent)}...TRUNCATED` : agent }),
    ...(info.resource ? { objectRef: referenceOf(info, createdName ?? refused?.details?.name ?? "") } : {}),
    responseStatus: refused ? auditStatusOf(refused, status) : { metadata: {}, code: status },
    requestReceivedTimestamp: formatMicroTime(receivedAt),
    stageTimestamp: formatMicroTime(now),
    ...(decision
      ? {
          annotations: {
            "authorization.k8s.io/decision": decision.allowed ? "allow" : "forbid",
            "authorization.k8s.io/reason": decision.reason ?? "",
          },
        }
      : {}),
  };
}

const userOf = ({ name, uid, groups, extra }: User): AuditUser => ({
  username: name,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
});

/** The addresses that proxies report, and last the peer's own; all but the last may be forged. */
function sourcesOf(request: ApiRequest): string[] {
  const forwarded = valuesOf(request, "x-forwarded-for").flatMap((value) => value.split(","));
  const ips = forwarded.map((ip) => ip.trim()).filter((ip) => /^[0-9a-fA-F.:]+$/.test(ip));
  const own = request.peer?.address;
  return own === undefined || ips.at(-1) === own ? ips : [...ips, own];
}

function referenceOf(
  { plural, namespace, name, group, version, subresource }: RequestInfo,
  otherwise: string,
): NonNullable<AuditEvent["objectRef"]> {
  const named = name === "" ? otherwise : name;
  return {
    resource: plural,
    ...(namespace === "" ? {} : { namespace }),
    ...(named === "" ? {} : { name: named }),
    ...(group === "" ? {} : { apiGroup: group }),
    apiVersion: version,
    ...(subresource === "" ? {} : { subresource }),
  };
}

const auditStatusOf = ({ status, message, reason }: Status, code: number): AuditEvent["responseStatus"] => ({
  metadata: {},
  ...(status === undefined ? {} : { status }),
  ...(message === undefined || repeatingReasons.has(reason ?? "") ? {} : { message }),
  ...(reason === undefined ? {} : { reason }),
  code,
});

/** The same chunks; `ended` is called once at their end, whatever ends them. */
function withEnd(body: AsyncIterable<Uint8Array>, ended: () => void): AsyncIterable<Uint8Array> {
  let hasEnded = false;
  const once = (): void => {
    if (hasEnded) return;
    hasEnded = true;
    ended();
  };
  return {
    [Symbol.asyncIterator]() {
      const inner = body[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const step = await inner.next();
            if (step.done) once();
            return step;
          } catch (error) {
            once();
            throw error;
          }
        },
        // A client that leaves before the first chunk ends it here too.
        async return() {
          once();
          await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
