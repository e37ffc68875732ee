/**
 * Principals of AWS IAM as users: by tokens that are presigned requests to STS (from `aws eks get-token`), and by
 * signatures that a gateway has verified. It calls STS through a function that the host passes, and trusts no name that
 * the sender could have chosen.
 */
export { type Sts, type StsTokenOptions, stsTokens } from "./authenticator.ts";
export { type IdentityOptions, identity } from "./identity.ts";
export { type AccessRow, type Principal, type PrincipalOptions, userOf } from "./principals.ts";
export { signedRequests } from "./signed-requests.ts";
export { askSts } from "./sts.ts";
