import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { ApiRequest, ApiResponse } from "#apiserver";

const pack = promisify(gzip);

/** Answers from this size on are compressed for clients that accept it, as upstream does. */
const worthwhile = 128 * 1024;

/** Compresses a large answer at the lowest effort: most of the gain for little time. */
export async function compressed(request: ApiRequest, response: ApiResponse): Promise<ApiResponse> {
  const { body } = response;
  if (!(body instanceof Uint8Array) || body.length < worthwhile) return response;
  if (!/\bgzip\b/.test(request.headers["accept-encoding"] ?? "")) return response;
  const headers = { ...response.headers, "content-encoding": "gzip", vary: "Accept-Encoding" };
  return { ...response, headers, body: await pack(body, { level: constants.Z_BEST_SPEED }) };
}
