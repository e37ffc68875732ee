import type * as z from "zod";
import { defineKind, message, metadataField, optional, required } from "../meta/index.ts";
import { NonResourceAttributes, ResourceAttributes, validateAsked } from "./attributes.ts";
import { decide, SubjectAccessReviewStatus } from "./decide.ts";
import { validateNoMetadata } from "./subject-access-review.ts";

export const SelfSubjectAccessReviewSpec = message("io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec", () => ({
  resourceAttributes: optional(1, ResourceAttributes, "A request for a resource."),
  nonResourceAttributes: optional(2, NonResourceAttributes, "A request for a path that is no resource."),
}));
export type SelfSubjectAccessReviewSpec = z.infer<typeof SelfSubjectAccessReviewSpec>;

export const SelfSubjectAccessReview = message("io.k8s.api.authorization.v1.SelfSubjectAccessReview", () => ({
  metadata: metadataField(),
  spec: required(2, SelfSubjectAccessReviewSpec, "The request to evaluate."),
  status: optional(3, SubjectAccessReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type SelfSubjectAccessReview = z.infer<typeof SelfSubjectAccessReview>;

/** "May I do that?" */
export const selfSubjectAccessReviews = defineKind<SelfSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  singular: "selfsubjectaccessreview",
  scope: "Cluster",
  schema: SelfSubjectAccessReview,
  verbs: ["create"],
  validate: ({ spec = {}, metadata }) => [...validateAsked(spec), ...validateNoMetadata(metadata, "must be empty")],
  answer: async (question, context) => ({ ...question, status: await decide(context.user, question.spec, context) }),
});
