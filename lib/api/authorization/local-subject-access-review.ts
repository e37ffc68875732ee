import type * as z from "zod";
import {
  defineKind,
  type FieldError,
  invalidValue,
  message,
  metadataField,
  optional,
  required,
} from "../meta/index.ts";
import { decide, SubjectAccessReviewStatus } from "./decide.ts";
import {
  SubjectAccessReviewSpec,
  subjectOf,
  validateNoMetadata,
  validateSubjectSpec,
} from "./subject-access-review.ts";

export const LocalSubjectAccessReview = message("io.k8s.api.authorization.v1.LocalSubjectAccessReview", () => ({
  metadata: metadataField(),
  spec: required(2, SubjectAccessReviewSpec, "The request to evaluate; its namespace must be that of the review."),
  status: optional(3, SubjectAccessReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type LocalSubjectAccessReview = z.infer<typeof LocalSubjectAccessReview>;

/** As SubjectAccessReview, in one namespace, so that the right to create it can be granted there. */
export const localSubjectAccessReviews = defineKind<LocalSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "LocalSubjectAccessReview",
  plural: "localsubjectaccessreviews",
  singular: "localsubjectaccessreview",
  scope: "Namespaced",
  schema: LocalSubjectAccessReview,
  verbs: ["create"],
  validate,
  answer: async (question, context) => ({
    ...question,
    status: await decide(subjectOf(question.spec), question.spec, context),
  }),
});

function validate({ spec, metadata }: LocalSubjectAccessReview): FieldError[] {
  const errors = validateSubjectSpec(spec);
  errors.push(...validateNoMetadata(metadata, "must be empty except for namespace", ["namespace"]));
  const { resourceAttributes: about, nonResourceAttributes: path } = spec ?? {};
  if (about && (about.namespace ?? "") !== metadata.namespace) {
    const why = "must match metadata.namespace";
    errors.push(invalidValue("spec.resourceAttributes.namespace", about.namespace ?? "", why));
  }
  if (path) {
    const shown = { Path: path.path ?? "", Verb: path.verb ?? "" };
    errors.push(invalidValue("spec.nonResourceAttributes", shown, "disallowed on this kind of request"));
  }
  return errors;
}
