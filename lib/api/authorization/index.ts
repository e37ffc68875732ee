/**
 * authorization.k8s.io/v1: who may do what. Questions that are answered and never kept; the answers come from whoever
 * authorizes requests, never from here.
 */
export * from "./attributes.ts";
export * from "./local-subject-access-review.ts";
export * from "./self-subject-access-review.ts";
export * from "./self-subject-rules-review.ts";
export * from "./subject-access-review.ts";
