import type { KubernetesObject } from "#api/meta";
import { createObject } from "#resources";
import { objectAnswer } from "../answer.ts";
import { readSent } from "../body.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** POST to a collection. */
export async function create(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const object: KubernetesObject = await readSent(call, request, call.resource.kind);
  const written = await createObject(call, object);
  const { name } = written.object.metadata;
  return { ...objectAnswer(call, request, 201, written), ...(name ? { createdName: name } : {}) };
}
