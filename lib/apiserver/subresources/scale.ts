import type { KubernetesObject, ScaleSubresource } from "#api/meta";
import { clone, conflict, internalError, notFound } from "#base";
import { readObject } from "#wire";
import { formatOf, shownAnswer } from "../answer.ts";
import { keyOf, objectAs } from "../objects.ts";
import { writeOptions } from "../options.ts";
import type { Resource } from "../registry.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf, named, readEntry, replaceWarnings, warn } from "../server.ts";
import { checkSent, updateObject } from "../update-object.ts";
import { patchOptions, readPatch } from "../verbs/patch.ts";

interface ScaleObject extends KubernetesObject {
  spec?: { replicas?: number };
  status?: { replicas: number; selector?: string };
}

type Scaled = ScaleSubresource<KubernetesObject>;

const scaleForm = (call: Call): Resource => {
  const form = call.server.registry.ofKind({ group: "autoscaling", version: "v1", kind: "Scale" });
  if (!form) throw internalError("the catalog has no autoscaling/v1 Scale");
  return form;
};

/** The scale of an object, as autoscaling/v1 shows it. */
function scaleOf(part: Scaled, object: KubernetesObject): ScaleObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = part.selector(object);
  const replicas = part.replicas(object);
  return {
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: part.statusReplicas(object), ...(selector === undefined ? {} : { selector }) },
  };
}

/** GET, PUT and PATCH of a scale subresource: the replicas of any kind that declares how it scales. */
export async function scale(call: Call, request: ApiRequest, part: Scaled): Promise<ApiResponse> {
  const form = scaleForm(call);
  const answer = (object: KubernetesObject) => {
    const format = formatOf(request);
    return shownAnswer(call.server, 200, form.kind, scaleOf(part, object), format, request);
  };
  if (request.method === "GET" || request.method === "HEAD") {
    const entry = await readEntry(call.server, call.resource.type, keyOf(call.namespace, call.name));
    if (!entry) throw notFound(named(kindOf(call)), call.name);
    return answer(objectAs(call.server, call.resource, entry));
  }
  const wanted = await wantedScale(call, request, part, form);
  const written = await updateObject(call, {
    whole: "scale",
    next(current) {
      const asked = wanted(current);
      checkSent(call, asked);
      checkUid(call, asked, current);
      const revision = asked.metadata?.resourceVersion;
      if (revision && revision !== current.metadata.resourceVersion) {
        const why = "the object has been modified; please apply your changes to the latest version and try again";
        throw conflict(named(kindOf(call)), call.name, why);
      }
      const next = clone(current);
      part.setReplicas(next, asked.spec?.replicas ?? 0);
      return next;
    },
  });
  return answer(written.object);
}

/** A scale with the uid of another object is for that one. */
function checkUid(call: Call, { metadata: { uid } }: ScaleObject, { metadata }: KubernetesObject): void {
  if (!uid || uid === metadata.uid) return;
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
  throw conflict(named(kindOf(call)), call.name, why);
}

async function wantedScale(
  call: Call,
  request: ApiRequest,
  part: Scaled,
  form: Resource,
): Promise<(current: KubernetesObject) => ScaleObject> {
  const body = await request.body();
  if (request.method === "PUT") {
    const options = writeOptions(request.query, "UpdateOptions");
    call.dryRun = options.dryRun;
    const sent = await readObject(form.kind, body, request.headers["content-type"], options.fieldValidation);
    warn(call, sent.warnings);
    return () => sent.object as unknown as ScaleObject;
  }
  const options = patchOptions(request);
  call.dryRun = options.dryRun;
  const apply = readPatch(body, request.headers["content-type"], options.fieldValidation);
  return (current) => {
    const { object, warnings } = apply(form.kind, scaleOf(part, current));
    replaceWarnings(call, warnings);
    return object as ScaleObject;
  };
}
