/**
 * The port to a cloud: load balancers for services, routes to the pods of other instances, instances by node.
 * What is behind it is in the rooms beside it. It knows no Kubernetes kind and never decides what is wanted.
 */
export {
  type Balanced,
  type BalancedPort,
  type Balancing,
  type Cloud,
  type Instance,
  type LoadBalancer,
  Refused,
  type Route,
} from "./port.ts";
