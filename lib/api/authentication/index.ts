/**
 * authentication.k8s.io/v1: who somebody is. Questions that are answered and never kept.
 */
export * from "./self-subject-review.ts";
export * from "./token-request.ts";
export * from "./token-review.ts";
export * from "./user-info.ts";
