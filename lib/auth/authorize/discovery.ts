import type { Authorizer } from "../port.ts";

const open = ["/healthz", "/livez", "/readyz", "/version"];
const forAuthenticated = ["/api", "/apis", "/openapi"];

const under = (paths: readonly string[], path: string): boolean =>
  paths.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));

/**
 * What upstream's roles system:public-info-viewer and system:discovery allow: health and version for everybody,
 * discovery for whoever has an identity.
 */
export const discovery: Authorizer = ({ user, verb, resource, path }) => {
  if (resource || (verb !== "get" && verb !== "head")) return undefined;
  if (under(open, path)) return { allowed: true };
  if (user.groups.includes("system:authenticated") && under(forAuthenticated, path)) return { allowed: true };
  return undefined;
};
