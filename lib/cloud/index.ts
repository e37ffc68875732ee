/**
 * The port to a cloud: load balancers for services, routes to the pods of other instances, instances by node.
 * The drivers are in the folders beside it. They know no Kubernetes kind and never decide the desired state.
 */
export {
  type Cloud,
  type Instance,
  type LoadBalancer,
  type LoadBalancerPort,
  type LoadBalancerStatus,
  Refused,
  type Route,
  type ServiceRef,
} from "./port.ts";
