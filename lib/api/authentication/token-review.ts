import type * as z from "zod";
import { badRequest } from "#base";
import { boolean, defineKind, list, message, metadataField, optional, required, string } from "../meta/index.ts";
import { UserInfo, userInfo } from "./user-info.ts";

export const TokenReviewSpec = message("io.k8s.api.authentication.v1.TokenReviewSpec", () => ({
  token: optional(1, string, "The token."),
  audiences: optional(2, list(string), "Audiences that the token must have. Defaults to the API server.", {
    list: "atomic",
  }),
}));
export type TokenReviewSpec = z.infer<typeof TokenReviewSpec>;

export const TokenReviewStatus = message("io.k8s.api.authentication.v1.TokenReviewStatus", () => ({
  authenticated: optional(1, boolean, "Whether the token is valid."),
  user: optional(2, UserInfo, "The user that the token belongs to.", { printed: true }),
  error: optional(3, string, "Why it is invalid or could not be checked."),
  audiences: optional(4, list(string), "The requested audiences that the token has.", { list: "atomic" }),
}));
export type TokenReviewStatus = z.infer<typeof TokenReviewStatus>;

export const TokenReview = message("io.k8s.api.authentication.v1.TokenReview", () => ({
  metadata: metadataField(),
  spec: required(2, TokenReviewSpec, "The request to evaluate."),
  status: optional(3, TokenReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type TokenReview = z.infer<typeof TokenReview>;

/** A review of a token. */
export const tokenReviews = defineKind<TokenReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  singular: "tokenreview",
  scope: "Cluster",
  schema: TokenReview,
  verbs: ["create"],
  async answer(question, context) {
    const { token = "", audiences = [] } = question.spec ?? {};
    if (token === "") throw badRequest("token is required for TokenReview in authentication");
    const verdict = await context.reviewToken(token, audiences);
    const status =
      "error" in verdict
        ? { user: {}, error: verdict.error }
        : { authenticated: true, user: userInfo(verdict.user), audiences: [...verdict.audiences] };
    return { ...question, status };
  },
});
