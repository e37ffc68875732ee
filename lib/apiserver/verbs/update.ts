import { clone } from "#base";
import { checkSent, kindOf, updateObject } from "#resources";
import { objectAnswer } from "../answer.ts";
import { readSent } from "../body.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** PUT of an object, or of its status or another part of it. */
export async function update(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const sent = await readSent(call, request, kindOf(call));
  checkSent(call, sent);
  const written = await updateObject(call, {
    next: () => clone(sent),
    create: () => clone(sent),
    uid: sent.metadata.uid || undefined,
  });
  return objectAnswer(call, request, written.created ? 201 : 200, written);
}
