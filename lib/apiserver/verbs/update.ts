import type { KubernetesObject } from "#api/meta";
import { clone } from "#base";
import { readObject } from "#wire";
import { objectAnswer } from "../answer.ts";
import { writeOptions } from "../options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf, warn } from "../server.ts";
import { checkSent, updateObject } from "../update-object.ts";

/** PUT of an object, or of its status or another part of it. */
export async function update(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = writeOptions(request.query, "UpdateOptions");
  const body = await request.body();
  const received = await readObject(kindOf(call), body, request.headers["content-type"], options.fieldValidation);
  warn(call, received.warnings);
  call.dryRun = options.dryRun;
  const sent = received.object as unknown as KubernetesObject;
  checkSent(call, sent);
  const written = await updateObject(call, {
    next: () => clone(sent),
    create: () => clone(sent),
    uid: sent.metadata.uid || undefined,
  });
  return objectAnswer(call, request, written.created ? 201 : 200, written);
}
