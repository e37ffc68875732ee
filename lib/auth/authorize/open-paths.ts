import type { Authorizer } from "../port.ts";

const open = /^\/(?:healthz|livez|readyz|version|openid\/v1\/jwks|\.well-known\/openid-configuration)(?:\/|$)/;

/** Paths without authentication: health, the version, and the documents of the token issuer. */
export const isOpen = (path: string): boolean => open.test(path);

/**
 * Allows the open paths to every user, whatever the roles are. Upstream's role system:public-info-viewer does so for
 * health and version; but load balancers need an answer while no role can be read, and clients that verify tokens read
 * the issuer's documents without an identity.
 */
export const openPaths: Authorizer = ({ verb, resource, path }) =>
  !resource && (verb === "get" || verb === "head") && isOpen(path) ? { allowed: true } : undefined;
