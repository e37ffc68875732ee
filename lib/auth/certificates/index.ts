/** Certificates: the cluster's own authority, and those that it issues to servers, users and agents. */
export { createAuthority, type IssueOptions, issue } from "./authority.ts";
export type { Certificate, Subject } from "./keys.ts";
export { createRequest } from "./request.ts";
export { type SignOptions, signRequest } from "./sign.ts";
