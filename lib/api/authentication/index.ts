/** authentication.k8s.io/v1: reviews of identities. They are answered and never stored. */
export * from "./self-subject-review.ts";
export * from "./token-request.ts";
export * from "./token-review.ts";
export * from "./user-info.ts";
