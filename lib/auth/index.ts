/**
 * Authentication by the transport and the headers of a request, and authorization, which denies by default. It knows
 * requests by their attributes only, and neither sockets nor bodies.
 */
export { type AccessOptions, accessOf } from "./access.ts";
export { bearerTokens } from "./authenticate/bearer.ts";
export { type BootstrapTokenOptions, bootstrapTokens } from "./authenticate/bootstrap-token.ts";
export { clientCertificates } from "./authenticate/client-cert.ts";
export { masters } from "./authorize/masters.ts";
export { nodes, withNodes } from "./authorize/node.ts";
export { isOpen, openPaths } from "./authorize/open-paths.ts";
export { ensurePolicy } from "./authorize/rbac/policy/ensure.ts";
export { type Rbac, type RbacOptions, rbac } from "./authorize/rbac/rbac.ts";
export { union } from "./authorize/union.ts";
export type {
  Attributes,
  Authenticator,
  Authorizer,
  Credentials,
  Decision,
  RuleResolver,
  TokenAuthority,
  User,
} from "./port.ts";
