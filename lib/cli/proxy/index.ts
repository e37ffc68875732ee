/**
 * `skiff proxy`: kubectl's way to a cluster on AWS by signed requests; exec, attach and port-forward, which API Gateway
 * cannot upgrade, use the WebSocket API. It makes no decision: the cluster authorizes every request.
 */
export { proxy } from "./command.ts";
export { type Proxy, type ProxyServerOptions, startProxy } from "./serve.ts";
export type { ProxyOptions } from "./settings.ts";
