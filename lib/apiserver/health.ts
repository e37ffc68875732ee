import { apiVersionOf } from "#api/meta";
import { messageOf } from "#base";
import { isServed } from "#resources";
import { json, text } from "./answer.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import type { Server } from "./server.ts";

type Checks = Readonly<Record<string, () => Promise<unknown> | unknown>>;

const roots = ["healthz", "livez", "readyz"];
/** The checks that every server has, under upstream's names: `etcd` is the store. */
const own = (server: Server): Checks => ({
  ping: () => {},
  log: () => {},
  etcd: () => server.resources.store.head(server.resources.registry.resources[0]!.type),
});

/**
 * /healthz, /livez and /readyz, each with `?verbose` and `?exclude=`, and one path for each check; whatever the method,
 * as upstream. Undefined for other paths.
 */
export async function health(server: Server, request: ApiRequest): Promise<ApiResponse | undefined> {
  const [, root = "", ...rest] = request.path.split("/");
  if (!roots.includes(root)) return undefined;
  const all: Checks = { ...own(server), ...(root === "readyz" ? server.checks : {}) };
  if (rest.length > 0) return one(all, rest.join("/"));
  const excluded = request.query.getAll("exclude");
  const lines: string[] = [];
  let failed = false;
  for (const [name, check] of Object.entries(all)) {
    const error = excluded.includes(name) ? undefined : await failureOf(check);
    if (excluded.includes(name)) lines.push(`[+]${name} excluded: ok`);
    else if (error === undefined) lines.push(`[+]${name} ok`);
    else {
      failed = true;
      lines.push(`[-]${name} failed: ${error}`);
    }
  }
  if (failed) return text(500, `${lines.join("\n")}\n${root} check failed\n`);
  return text(200, request.query.has("verbose") ? `${lines.join("\n")}\n${root} check passed\n` : "ok");
}

async function one(all: Checks, name: string): Promise<ApiResponse | undefined> {
  if (!Object.hasOwn(all, name)) return undefined;
  const error = await failureOf(all[name]!);
  return error === undefined ? text(200, "ok") : text(500, `internal server error: ${error}\n`);
}

async function failureOf(check: () => Promise<unknown> | unknown): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** /version. */
export const version = (server: Server): ApiResponse => json(200, server.version);

/** `/`: the paths that the server knows, without those of resources; sorted, as upstream's index. */
export function rootPaths({ resources, checks = {}, metrics }: Server): ApiResponse {
  const paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/", "/version"];
  for (const kind of resources.registry.kinds) {
    if (kind.group === "" || !isServed(kind)) continue;
    paths.push(`/apis/${kind.group}`, `/apis/${apiVersionOf(kind)}`);
  }
  for (const root of roots) {
    const names = ["ping", "log", "etcd", ...(root === "readyz" ? Object.keys(checks) : [])];
    paths.push(`/${root}`, ...names.map((name) => `/${root}/${name}`));
  }
  if (metrics) paths.push("/metrics");
  paths.push("/openapi/v2", "/openapi/v3", "/openid/v1/jwks");
  return json(200, { paths: [...new Set(paths)].sort() });
}
