/**
 * The proxy for servers in pods: HTTP over a connection that an agent dials, with links rewritten. The API server has
 * authorized the request and chosen its target.
 */
export { type Dial, proxyRequest } from "./proxy.ts";
export { proxyUpgrade, type UpgradeOptions } from "./upgrade.ts";
