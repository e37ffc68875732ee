import { messageOf } from "#base";
import { json, text } from "./answer.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import type { Server } from "./server.ts";

/** /healthz, /livez and /readyz, each with `?verbose` and one path per check; /version. Undefined for other paths. */
export async function health(server: Server, request: ApiRequest): Promise<ApiResponse | undefined> {
  const [, root, name, ...rest] = request.path.split("/");
  if (root === "version" && name === undefined) return json(200, server.version);
  if ((root !== "healthz" && root !== "livez" && root !== "readyz") || rest.length > 0) return undefined;
  const all: Record<string, () => Promise<unknown> | unknown> = {
    ping: () => {},
    store: () => server.store.head(server.registry.resources[0]!.type),
    ...(root === "readyz" ? server.checks : {}),
  };
  const names = name === undefined || name === "" ? Object.keys(all) : [name];
  if (names.some((check) => !Object.hasOwn(all, check))) return undefined;
  const excluded = request.query.getAll("exclude");
  const lines: string[] = [];
  let failed = false;
  for (const check of names.filter((candidate) => !excluded.includes(candidate))) {
    try {
      await all[check]!();
      lines.push(`[+]${check} ok`);
    } catch (error) {
      failed = true;
      lines.push(`[-]${check} failed: ${messageOf(error)}`);
    }
  }
  if (failed) return text(500, `${lines.join("\n")}\n${root} check failed\n`);
  return text(200, request.query.has("verbose") ? `${lines.join("\n")}\n${root} check passed\n` : "ok");
}
