/**
 * Services on a node, what upstream's kube-proxy does: a model of Services and EndpointSlices without input or output,
 * writers that turn it into rules of the kernel, and the component that keeps them up to date.
 */
export type { NodeFacts } from "./categorize.ts";
export {
  changesBetween,
  type PortChange,
  type ProxyPort,
  proxyPortsOf,
  ServiceModel,
} from "./model.ts";
export { faultOf, openWriter, type ProxyMode, proxyModes, removeRules, removeStaleRules } from "./modes.ts";
export { isNodePortAddress } from "./node-port-addresses.ts";
export { runProgram } from "./program.ts";
export { ServiceProxy, type ServiceProxyOptions, type ServiceSource } from "./proxy.ts";
export { type Listener, type RedirectedPorts, Redirects } from "./redirects.ts";
