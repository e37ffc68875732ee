import type { Kind } from "#api/meta";
import type { User } from "#auth";
import { isApiError, messageOf } from "#base";
import type { Client } from "#client";
import type { Change } from "#store";
import { refusal, statusOf, text, withWarnings } from "./answer.ts";
import { audit, type Trail } from "./audit.ts";
import { discovery } from "./discovery.ts";
import { dispatch, methodNotAllowed, pageNotFound } from "./dispatch.ts";
import { admit, authenticate, authorize, checkTimeout, impersonate } from "./filters.ts";
import { health, rootPaths, version } from "./health.ts";
import { eventOf, localClient } from "./local-client.ts";
import { RequestMetrics } from "./metrics.ts";
import { openapi } from "./openapi.ts";
import { openapiV2 } from "./openapi-v2.ts";
import { type ApiRequest, type ApiResponse, isMalformed, type RequestInfo, requestInfo } from "./request.ts";
import { defaultLimits, type Server, type ServerOptions } from "./server.ts";

export interface ApiServer {
  /** Answers a request. Never rejects: what goes wrong is answered as a Status. */
  handle(request: ApiRequest): Promise<ApiResponse>;
  /** The client port in process, with admission and without authorization. */
  client(user: User): Client;
  /** What a change of a kind's storage means to those who watch the kind. */
  event(kind: Kind, change: Change): ReturnType<typeof eventOf>;
}

/** Where an error that is none of the API's came from: without it a fault of the server cannot be found. */
function causeOf(error: unknown): { stack?: string; cause?: string } {
  if (isApiError(error)) return error.cause === undefined ? {} : { cause: messageOf(error.cause) };
  return error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
}

const self: User = { name: "system:apiserver", groups: ["system:masters"] };

/** Makes the API server of its parts. */
export function apiServer(options: ServerOptions): ApiServer {
  const { metrics, ...rest } = options;
  const server: Server = {
    ...rest,
    ...(metrics ? { metrics: new RequestMetrics({ ...options, metrics }) } : {}),
    limits: { ...defaultLimits, ...options.limits },
    load: { inFlight: 0, watches: 0 },
    admissionContext: undefined as never,
  };
  server.admissionContext = {
    client: localClient(server, self),
    clock: options.clock,
    random: options.random,
    ...(options.tokens ? { tokens: options.tokens } : {}),
  };
  const documents = openapi(options.registry, options.version.gitVersion);
  const older = openapiV2(options.registry, options.version.gitVersion);
  const isPart = (version: string, word: string): boolean =>
    options.registry.find("", version, "namespaces")?.kind.subresources?.[word] !== undefined;

  /** The filters, in the order in which a request meets them. */
  const answer = async (request: ApiRequest, info: RequestInfo, trail: Trail): Promise<ApiResponse> => {
    if (info.verb !== "watch") checkTimeout(request);
    trail.user = await authenticate(server, request);
    const user = await impersonate(server, request, trail.user);
    if (user !== trail.user) trail.impersonated = user;
    await authorize(server, request, info, user, trail);
    const leave = admit(server, request, info);
    try {
      if (info.resource) return await dispatch(server, request, info, user, trail.warnings);
      return (await nonResource(request)) ?? pageNotFound();
    } finally {
      leave();
    }
  };
  const nonResource = async (request: ApiRequest): Promise<ApiResponse | undefined> => {
    const link = /^\/link\/([^/]+)$/.exec(request.path)?.[1];
    if (link !== undefined && request.headers["upgrade"] !== undefined) {
      return { status: 101, headers: {}, body: new Uint8Array(), link };
    }
    if (request.path === "/") return rootPaths(options.registry, server);
    const healthy = (await health(server, request)) ?? server.metrics?.answer(request);
    if (healthy) return healthy;
    const reads = request.method === "GET" || request.method === "HEAD";
    if (reads && request.path.startsWith("/openapi/v3")) return documents(request);
    if (reads && request.path === "/openapi/v2") return older(request);
    const document = reads ? await server.tokens?.document(request.path) : undefined;
    if (document) return { status: 200, headers: document.headers, body: new TextEncoder().encode(document.body) };
    const found = version(server, request) ?? discovery(options.registry, request);
    if (found && request.method !== "GET") throw methodNotAllowed();
    return found;
  };

  /** Answers what was thrown on the way of one request, and logs what was meant for no client. */
  const failed = (request: ApiRequest, error: unknown): ApiResponse => {
    const response = refusal(error, request);
    if (response.status >= 500 && response.status !== 501 && response.status !== 504) {
      const { method, path } = request;
      server.log.error("a request failed", { method, path, error: messageOf(error), ...causeOf(error) });
    }
    return response;
  };

  return {
    async handle(request) {
      if (isMalformed(request.path)) return text(400, "400 Bad Request");
      const trail: Trail = { receivedAt: options.clock.now(), warnings: [] };
      try {
        const info = requestInfo(request, isPart);
        const counted = server.metrics?.begin(request, info);
        const response = await answer(request, info, trail).catch((error: unknown) => {
          trail.refused = statusOf(error);
          return failed(request, error);
        });
        counted?.(response.status);
        return audit(server, { request, info, trail }, withWarnings(response, trail.warnings));
      } catch (error) {
        return failed(request, error);
      }
    },
    client: (user) => localClient(server, user),
    event: (kind, change) => eventOf(server, kind, change),
  };
}
