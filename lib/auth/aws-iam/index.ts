/**
 * Principals of AWS IAM as users: by tokens that are presigned requests to STS (`aws eks get-token` makes them), and
 * by the word of a gateway that has checked a signature. It asks STS through a function that it is given, and never
 * believes a name that the sender could have chosen.
 */
export { type Sts, type StsTokenOptions, stsTokens } from "./authenticator.ts";
export { type IdentityOptions, identity } from "./identity.ts";
export { type AccessRow, type Principal, type PrincipalOptions, userOf } from "./principals.ts";
export { signedRequests } from "./signed-requests.ts";
export { askSts } from "./sts.ts";
