/**
 * Who asks, and may they: authentication by what the transport and the headers show, authorization that denies
 * unless somebody allows. It knows requests by their attributes only, never a socket and never a body.
 */
export { clientCertificates } from "./authenticate/client-cert.ts";
export { discovery } from "./authorize/discovery.ts";
export { masters } from "./authorize/masters.ts";
export { nodes } from "./authorize/node.ts";
export { union } from "./authorize/union.ts";
export type { Attributes, Authenticator, Authorizer, Credentials, Decision, RuleResolver, User } from "./port.ts";
