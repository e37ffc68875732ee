import { accessOf, type User } from "#auth";
import { isApiError, messageOf } from "#base";
import type { Client } from "#client";
import { refusal, statusOf, text, withWarnings } from "./answer.ts";
import { audit, type Trail } from "./audit.ts";
import { dispatch, pageNotFound } from "./dispatch.ts";
import { admit, authenticate, authorize, checkTimeout, impersonate } from "./filters.ts";
import { RequestMetrics } from "./metrics.ts";
import { answerNonResource, type NonResourcePath, nonResourcePaths } from "./non-resource.ts";
import { type ApiRequest, type ApiResponse, isMalformed, type RequestInfo, requestInfo } from "./request.ts";
import { defaultLimits, type Server, type ServerOptions } from "./server.ts";

/** Answers requests over HTTP with the objects of the resource service. */
export class ApiServer {
  readonly #server: Server;
  readonly #paths: readonly NonResourcePath[];

  constructor({ metrics, ...options }: ServerOptions) {
    this.#server = {
      ...options,
      access: accessOf(options),
      metrics: metrics && new RequestMetrics({ ...options, metrics }),
      limits: { ...defaultLimits, ...options.limits },
      load: { inFlight: 0, watches: 0 },
    };
    this.#paths = nonResourcePaths(this.#server);
  }

  /** The client port in process, with the rights and tokens that requests have, and without authorization. */
  client(user: User): Client {
    return this.#server.resources.client(user, this.#server.access);
  }

  /** Answers a request. Never rejects: an error is answered as a Status. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    if (isMalformed(request.path)) return text(400, "400 Bad Request");
    const server = this.#server;
    const trail: Trail = { receivedAt: server.resources.clock.now(), warnings: [] };
    try {
      const info = requestInfo(request, (version, word) => this.#isPartOfNamespaces(version, word));
      const counted = server.metrics?.begin(request, info);
      const response = await this.#answer(request, info, trail).catch((error: unknown) => {
        trail.refused = statusOf(error);
        return this.#failed(request, error);
      });
      counted?.(response.status);
      return audit(server, { request, info, trail }, withWarnings(response, trail.warnings));
    } catch (error) {
      return this.#failed(request, error);
    }
  }

  /** The filters, in the order in which a request passes them. */
  async #answer(request: ApiRequest, info: RequestInfo, trail: Trail): Promise<ApiResponse> {
    const server = this.#server;
    // The query of a proxied request belongs to its target.
    if (info.verb !== "watch" && info.subresource !== "proxy") checkTimeout(request);
    trail.user = await authenticate(server, request);
    const user = await impersonate(server, request, trail.user);
    if (user !== trail.user) trail.impersonated = user;
    await authorize(server, request, info, user, trail);
    const leave = admit(server, request, info);
    try {
      if (info.resource) return await dispatch(server, request, { info, user, warnings: trail.warnings });
      return (await answerNonResource(this.#paths, request)) ?? pageNotFound();
    } finally {
      leave();
    }
  }

  /** Whether a word after a namespace's name is a subresource of namespaces. */
  #isPartOfNamespaces(version: string, word: string): boolean {
    const { registry } = this.#server.resources;
    return registry.find("", version, "namespaces")?.kind.subresources?.[word] !== undefined;
  }

  /** Answers an error, and logs it where the fault is the server's. */
  #failed(request: ApiRequest, error: unknown): ApiResponse {
    const response = refusal(error, request);
    if (response.status >= 500 && response.status !== 501 && response.status !== 504) {
      const { method, path } = request;
      const about = { method, path, error: messageOf(error), ...causeOf(error) };
      this.#server.resources.log.error("a request failed", about);
    }
    return response;
  }
}

/** The origin of an unexpected error: without it a fault of the server cannot be found. */
function causeOf(error: unknown): { stack?: string; cause?: string } {
  if (isApiError(error)) return error.cause === undefined ? {} : { cause: messageOf(error.cause) };
  return error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
}
