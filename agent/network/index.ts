/**
 * Services on a node, what upstream's kube-proxy does: a model of Services and EndpointSlices without input or output,
 * and writers that turn it into rules of the kernel.
 */
export type { NodeFacts } from "./categorize.ts";
export {
  changesBetween,
  type PortChange,
  type ProxyPort,
  proxyPortsOf,
  type Redirects,
  ServiceModel,
} from "./model.ts";
