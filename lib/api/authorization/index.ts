/** authorization.k8s.io/v1: reviews of rights. They are answered by the authorizers and never stored. */
export * from "./attributes.ts";
export * from "./local-subject-access-review.ts";
export * from "./self-subject-access-review.ts";
export * from "./self-subject-rules-review.ts";
export * from "./subject-access-review.ts";
