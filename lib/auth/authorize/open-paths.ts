import type { Authorizer } from "../port.ts";

const open = /^\/(?:healthz|livez|readyz|version|openid\/v1\/jwks|\.well-known\/openid-configuration)(?:\/|$)/;

/** What anybody may ask without showing who they are: health, the version, and how to trust the issuer of tokens. */
export const isOpen = (path: string): boolean => open.test(path);

/**
 * Allows the open paths to everybody, whatever the roles say. Upstream's role system:public-info-viewer says the same
 * of health and version; but load balancers must get an answer while no role can be read, and whoever is to trust the
 * issuer of tokens asks without an identity.
 */
export const openPaths: Authorizer = ({ verb, resource, path }) =>
  !resource && (verb === "get" || verb === "head") && isOpen(path) ? { allowed: true } : undefined;
