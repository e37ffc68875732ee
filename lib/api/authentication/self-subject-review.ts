import type * as z from "zod";
import { formatTime } from "#base";
import { defineKind, message, metadataField, optional } from "../meta/index.ts";
import { UserInfo, userInfo } from "./user-info.ts";

export const SelfSubjectReviewStatus = message("io.k8s.api.authentication.v1.SelfSubjectReviewStatus", () => ({
  userInfo: optional(1, UserInfo, "The user that sent the request.", { printed: true }),
}));
export type SelfSubjectReviewStatus = z.infer<typeof SelfSubjectReviewStatus>;

export const SelfSubjectReview = message("io.k8s.api.authentication.v1.SelfSubjectReview", () => ({
  metadata: metadataField(),
  status: optional(2, SelfSubjectReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type SelfSubjectReview = z.infer<typeof SelfSubjectReview>;

/** The user of the request, after impersonation. */
export const selfSubjectReviews = defineKind<SelfSubjectReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "SelfSubjectReview",
  plural: "selfsubjectreviews",
  singular: "selfsubjectreview",
  scope: "Cluster",
  schema: SelfSubjectReview,
  verbs: ["create"],
  answer: (_question, { user, now }) => ({
    metadata: { creationTimestamp: formatTime(now) },
    status: { userInfo: userInfo(user) },
  }),
});
