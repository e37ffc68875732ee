/** A server with nothing around it, for tests: no cache unless the test has one, no admission, no controllers, over a store that the test has. */
import { catalog } from "#api";
import { clientCertificates, masters, openPaths, union } from "#auth";
import { type Log, silentLog, systemClock, systemRandom } from "#base";
import { Registry, Resources, type ResourcesOptions } from "#resources";
import type { Store } from "#store";
import { ApiServer } from "../api-server.ts";
import type { AuditSink } from "../audit.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { Limits, ServerOptions } from "../server.ts";

const version = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0",
  gitCommit: "",
  gitTreeState: "",
  buildDate: "",
  goVersion: "",
  compiler: "",
  platform: "",
};

/** Requests as the administrator. */
export interface BareServer {
  server: ApiServer;
  get(
    path: string,
    query: string,
    more?: { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<ApiResponse>;
  /** Any request; a body that is no text is sent as JSON. `json` is the answer, parsed where it is a JSON object. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked into
  ): Promise<ApiResponse & { json: any }>;
}

export function bareServer(
  store: Store,
  limits: Partial<Limits> = {},
  audit?: AuditSink,
  log: Log = silentLog,
  more: Partial<Pick<ResourcesOptions, "cache">> & Pick<ServerOptions, "links"> = {},
): BareServer {
  const resources = new Resources({
    store,
    registry: new Registry(catalog),
    clock: systemClock,
    random: systemRandom,
    log,
    admission: [],
    ...more,
  });
  const server = new ApiServer({
    resources,
    limits,
    version,
    authenticators: [clientCertificates],
    authorize: union(masters, openPaths),
    audit,
    links: more.links,
  });
  const send = (method: string, path: string, query: string, rest: Partial<ApiRequest>) =>
    server.handle({
      method,
      path,
      query: new URLSearchParams(query),
      headers: {},
      body: async () => new Uint8Array(),
      signal: new AbortController().signal,
      peer: { certificate: { commonName: "admin", organizations: ["system:masters"] } },
      ...rest,
    });
  return {
    server,
    get: (path, query, more = {}) => send("GET", path, query, more),
    async ask(method, target, body, headers = {}) {
      const [path = "", query = ""] = target.split("?");
      const text = typeof body === "string" ? body : body === undefined ? "" : JSON.stringify(body);
      const response = await send(method, path, query, {
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        body: async () => new TextEncoder().encode(text),
      });
      const answer = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : undefined;
      return { ...response, json: answer?.startsWith("{") ? JSON.parse(answer) : answer };
    },
  };
}

/** A write that makes an object with nothing but metadata, under `default/<name>`. */
export const makes = (name: string, labels: Record<string, string> = {}) => ({
  type: "create" as const,
  key: `default/${name}`,
  schema: "",
  index: { uid: name, labels },
  body: (revision: number) =>
    Buffer.from(`{"metadata":{"resourceVersion":"${revision}","name":"${name}","namespace":"default"}}`),
});
