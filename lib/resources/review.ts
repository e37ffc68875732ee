import type { KubernetesObject, ReviewSubresource } from "#api/meta";
import { internalError, invalid, notFound } from "#base";
import { accessContext } from "./access.ts";
import { admissionRequest, mutate, validate } from "./admission.ts";
import { type Call, kindOf, named, warn } from "./call.ts";
import { keyOf, objectAs } from "./objects.ts";
import type { Resource } from "./registry.ts";
import { removeFromReview } from "./system-fields.ts";
import { foundBy, refuse, setDefaults, setNamespace } from "./write.ts";

/** Answers a review that was posted: it is checked and admitted like a new object, and never stored. */
export async function answerReview(call: Call, object: KubernetesObject): Promise<KubernetesObject> {
  const kind = kindOf(call);
  if (!kind.answer) throw internalError(`${kind.kind} has no answers`);
  object.metadata ??= {};
  setNamespace(call, object);
  removeFromReview(object.metadata);
  setDefaults(kind, object);
  const request = admissionRequest(call, "CREATE", { object });
  await mutate(call, request);
  const errors = foundBy(() => kind.validate?.(object) ?? []);
  // Upstream names no kind where it refuses a review.
  if (errors.length > 0) throw invalid({ group: kind.group, kind: "" }, "", errors);
  await validate(call, request);
  return kind.answer(object, accessContext(call));
}

/** The kind that a subresource accepts. Throws ApiError 500 where the registry lacks it. */
export function acceptedBy(
  { resources }: Call,
  { accepts }: { accepts: ReviewSubresource<never>["accepts"] },
): Resource {
  const form = resources.registry.ofKind(accepts);
  if (!form) throw internalError(`the catalog has no ${accepts.kind}`);
  return form;
}

/** Answers a review of a stored object, which does not change. `review` is changed. */
export async function reviewObject(
  call: Call,
  part: ReviewSubresource<KubernetesObject>,
  review: KubernetesObject,
): Promise<KubernetesObject> {
  const { resources, resource, namespace, name } = call;
  const form = acceptedBy(call, part).kind;
  review.metadata ??= {};
  part.place(review, { namespace, name });
  const entry = await resources.read(resource.type, keyOf(namespace, name));
  if (!entry) throw notFound(named(kindOf(call)), name);
  Object.assign(review.metadata, { name, ...(namespace === "" ? {} : { namespace }) });
  setDefaults(form, review);
  const request = admissionRequest(call, "CREATE", { object: review });
  await mutate(call, request);
  refuse(form, "", () => form.validate?.(review) ?? []);
  await validate(call, request);
  const answer = await part.answer(objectAs(resources, resource, entry), review, accessContext(call));
  warn(call, answer.warnings);
  return answer.object;
}
