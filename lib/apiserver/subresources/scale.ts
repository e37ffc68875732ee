import type { KubernetesObject, ScaleSubresource } from "#api/meta";
import { notFound } from "#base";
import {
  acceptedBy,
  keyOf,
  kindOf,
  named,
  objectAs,
  type Resource,
  replaceWarnings,
  type ScaleObject,
  scaleOf,
  updateScale,
} from "#resources";
import { formatOf, shownAnswer } from "../answer.ts";
import { readSent } from "../body.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";
import { readPatch } from "../verbs/patch.ts";

type Scaled = ScaleSubresource<KubernetesObject>;

const scaleKind = { group: "autoscaling", version: "v1", kind: "Scale" };

/** GET, PUT and PATCH of a scale subresource: the replicas of any kind that declares how it scales. */
export async function scale(call: RequestScope, request: ApiRequest, part: Scaled): Promise<ApiResponse> {
  const form = acceptedBy(call, { accepts: scaleKind });
  const answer = (object: ScaleObject) =>
    shownAnswer(call, request, { status: 200, kind: form.kind, object, format: formatOf(request) });
  if (request.method === "GET" || request.method === "HEAD") {
    const entry = await call.resources.read(call.resource.type, keyOf(call.namespace, call.name));
    if (!entry) throw notFound(named(kindOf(call)), call.name);
    return answer(scaleOf(part, objectAs(call.resources, call.resource, entry)));
  }
  return answer(await updateScale(call, part, await nextScale(call, request, part, form)));
}

async function nextScale(
  call: RequestScope,
  request: ApiRequest,
  part: Scaled,
  form: Resource,
): Promise<(current: KubernetesObject) => ScaleObject> {
  if (request.method === "PUT") {
    const sent = (await readSent(call, request, form.kind)) as ScaleObject;
    return () => sent;
  }
  const apply = await readPatch(call, request);
  return (current) => {
    const { object, warnings } = apply(form.kind, scaleOf(part, current));
    replaceWarnings(call, warnings);
    return object as ScaleObject;
  };
}
