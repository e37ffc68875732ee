import type { KubernetesObject } from "#api/meta";
import { readObject } from "#wire";
import { objectAnswer } from "../answer.ts";
import { createObject } from "../create-object.ts";
import { writeOptions } from "../options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf, warn } from "../server.ts";

/** POST to a collection. */
export async function create(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = writeOptions(request.query, "CreateOptions");
  const body = await request.body();
  const received = await readObject(kindOf(call), body, request.headers["content-type"], options.fieldValidation);
  warn(call, received.warnings);
  call.dryRun = options.dryRun;
  const written = await createObject(call, received.object as unknown as KubernetesObject);
  const { name } = written.object.metadata;
  return { ...objectAnswer(call, request, 201, written), ...(name ? { made: name } : {}) };
}
