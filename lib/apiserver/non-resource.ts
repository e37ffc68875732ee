import { discovery } from "./discovery.ts";
import { health, rootPaths, version } from "./health.ts";
import { OpenapiV3 } from "./openapi.ts";
import { openapiV2 } from "./openapi-v2.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import { methodNotAllowed } from "./router-errors.ts";
import type { Server } from "./server.ts";

/** Answers a request for a path that it serves; undefined for every other path. */
export type PathHandler = (request: ApiRequest) => Promise<ApiResponse | undefined> | ApiResponse | undefined;

export interface NonResourcePath {
  /** The path: exact, or with everything below it where it ends in `/*`. `*` alone is every path. */
  path: string;
  /** Methods of the handler; a request with another one is passed to the next entry. Absent: every method. */
  methods?: readonly string[];
  answer: PathHandler;
}

const reads = ["GET", "HEAD"];

/** Paths that are no resources, in the order in which they are tried. */
export function nonResourcePaths(server: Server): NonResourcePath[] {
  const { registry } = server.resources;
  const { gitVersion } = server.version;
  const documents = new OpenapiV3(registry, gitVersion);
  return [
    { path: "/link/*", answer: link },
    { path: "/", answer: () => rootPaths(server) },
    ...["/healthz", "/livez", "/readyz"].flatMap((path) => [
      { path, answer: (request: ApiRequest) => health(server, request) },
      { path: `${path}/*`, answer: (request: ApiRequest) => health(server, request) },
    ]),
    { path: "/metrics", methods: reads, answer: () => server.metrics?.answer() },
    { path: "/openapi/v3", methods: reads, answer: () => documents.index() },
    { path: "/openapi/v3/*", methods: reads, answer: (request) => documents.answer(request) },
    { path: "/openapi/v2", methods: reads, answer: openapiV2(registry, gitVersion) },
    { path: "*", methods: reads, answer: ({ path }) => tokenDocument(server, path) },
    { path: "/version", answer: onlyGet(() => version(server)) },
    { path: "/version/", answer: onlyGet(() => version(server)) },
    { path: "*", answer: onlyGet((request) => discovery(registry, request)) },
  ];
}

/** Answers a request by the first path that has an answer; undefined where none has. */
export async function answerNonResource(
  paths: readonly NonResourcePath[],
  request: ApiRequest,
): Promise<ApiResponse | undefined> {
  for (const { path, methods, answer } of paths) {
    if (methods && !methods.includes(request.method)) continue;
    if (!isBelow(request.path, path)) continue;
    const response = await answer(request);
    if (response) return response;
  }
  return undefined;
}

const isBelow = (path: string, pattern: string): boolean =>
  pattern === "*" || path === pattern || (pattern.endsWith("/*") && path.startsWith(pattern.slice(0, -1)));

/** The upgrade by which an agent dials in. */
const link: PathHandler = ({ path, headers }) => {
  const name = /^\/link\/([^/]+)$/.exec(path)?.[1];
  if (name === undefined || headers["upgrade"] === undefined) return undefined;
  return { status: 101, headers: {}, body: new Uint8Array(), link: name };
};

/** The documents of the token issuer. */
async function tokenDocument({ tokens }: Server, path: string): Promise<ApiResponse | undefined> {
  const document = await tokens?.document(path);
  return document && { status: 200, headers: document.headers, body: new TextEncoder().encode(document.body) };
}

/** Paths that exist for other methods too, but only answer GET. */
const onlyGet =
  (answer: PathHandler): PathHandler =>
  async (request) => {
    const response = await answer(request);
    if (response && request.method !== "GET") throw methodNotAllowed();
    return response;
  };
