import type * as z from "zod";
import {
  defineKind,
  type FieldError,
  invalidValue,
  list,
  map,
  message,
  metadataField,
  type ObjectMeta,
  optional,
  required,
  string,
  type User,
} from "../meta/index.ts";
import { NonResourceAttributes, ResourceAttributes, validateAsked } from "./attributes.ts";
import { decide, SubjectAccessReviewStatus } from "./decide.ts";

export const SubjectAccessReviewSpec = message("io.k8s.api.authorization.v1.SubjectAccessReviewSpec", () => ({
  resourceAttributes: optional(1, ResourceAttributes, "A request for a resource."),
  nonResourceAttributes: optional(2, NonResourceAttributes, "A request for a path that is no resource."),
  user: optional(3, string, "The user who would send the request."),
  groups: optional(4, list(string), "The groups that the user is in.", { list: "atomic" }),
  extra: optional(5, map(list(string)), "Additional information of the user's authenticator."),
  uid: optional(6, string, "The user's uid."),
}));
export type SubjectAccessReviewSpec = z.infer<typeof SubjectAccessReviewSpec>;

export const SubjectAccessReview = message("io.k8s.api.authorization.v1.SubjectAccessReview", () => ({
  metadata: metadataField(),
  spec: required(2, SubjectAccessReviewSpec, "The request to evaluate."),
  status: optional(3, SubjectAccessReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type SubjectAccessReview = z.infer<typeof SubjectAccessReview>;

/** Upstream's ValidateSubjectAccessReviewSpec. */
export function validateSubjectSpec(spec: SubjectAccessReviewSpec = {}): FieldError[] {
  const errors = validateAsked(spec);
  if (spec.user || spec.groups?.length) return errors;
  return [...errors, invalidValue("spec.user", spec.user ?? "", "at least one of user or group must be specified")];
}

/** A question has no metadata but what is allowed. */
export function validateNoMetadata(
  metadata: ObjectMeta,
  why: string,
  allowed: readonly (keyof ObjectMeta)[] = [],
): FieldError[] {
  const set = Object.entries(metadata).filter(
    ([field, value]) =>
      value !== undefined && field !== "managedFields" && !allowed.includes(field as keyof ObjectMeta),
  );
  return set.length === 0 ? [] : [invalidValue("metadata", metadata, why)];
}

/** The user that a question is about. */
export const subjectOf = ({ user = "", groups = [], uid, extra }: SubjectAccessReviewSpec = {}): User => ({
  name: user,
  groups,
  ...(uid === undefined ? {} : { uid }),
  ...(extra === undefined ? {} : { extra }),
});

/** "May this user do that?" */
export const subjectAccessReviews = defineKind<SubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  singular: "subjectaccessreview",
  scope: "Cluster",
  schema: SubjectAccessReview,
  verbs: ["create"],
  validate: ({ spec, metadata }) => [...validateSubjectSpec(spec), ...validateNoMetadata(metadata, "must be empty")],
  answer: async (question, context) => ({
    ...question,
    status: await decide(subjectOf(question.spec), question.spec, context),
  }),
});
