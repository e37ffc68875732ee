/**
 * `skiff proxy`: kubectl's way to a cluster on AWS by signed requests, with exec, attach and port-forward, which API
 * Gateway cannot upgrade, over the WebSocket API. It decides nothing: who may do what, the cluster says.
 */
export { proxy } from "./command.ts";
export { type Proxy, type ProxyServerOptions, startProxy } from "./serve.ts";
export type { ProxyOptions } from "./settings.ts";
