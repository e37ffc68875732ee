import type { ActionSubresource, KubernetesObject } from "#api/meta";
import { clone, internalError } from "#base";
import { readObject } from "#wire";
import { statusAnswer } from "../answer.ts";
import { writeOptions } from "../options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, warn } from "../server.ts";
import { updateObject } from "../update-object.ts";
import { place } from "../write.ts";

/** Lets a posted body act on the object. */
export async function act(
  call: Call,
  part: ActionSubresource<KubernetesObject>,
  body: KubernetesObject,
): Promise<void> {
  body.metadata ??= {};
  place(call, body);
  await updateObject(call, {
    whole: "action",
    uid: body.metadata?.uid || undefined,
    next(current) {
      const next = clone(current);
      part.apply(next, body, { now: call.server.clock.now() });
      return next;
    },
  });
}

/** POST to a subresource that acts on the object; answers 201 with a Status, as upstream does. */
export async function action(
  call: Call,
  request: ApiRequest,
  part: ActionSubresource<KubernetesObject>,
): Promise<ApiResponse> {
  const form = call.server.registry.ofKind(part.accepts);
  if (!form) throw internalError(`the catalog has no ${part.accepts.kind}`);
  const options = writeOptions(request.query, "CreateOptions");
  call.dryRun = options.dryRun;
  const sent = await readObject(
    form.kind,
    await request.body(),
    request.headers["content-type"],
    options.fieldValidation,
  );
  warn(call, sent.warnings);
  await act(call, part, sent.object as unknown as KubernetesObject);
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
  return statusAnswer(201, status, request);
}
