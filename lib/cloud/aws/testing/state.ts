import type { Input } from "./query.ts";

export interface NetworkOptions {
  vpc: string;
  subnets: readonly string[];
  routeTables: readonly string[];
  /** A security group that exists before any load balancer. */
  securityGroup: string;
  /** The cluster's name. Resources without it in their tags may not be changed, as the permissions require. */
  cluster: string;
}

export type Tags = Record<string, string>;

export interface Balancer {
  arn: string;
  input: Input;
  /** While it is being deleted it holds its security groups, and for a while longer its target groups. */
  state: "provisioning" | "active" | "going" | "lingering";
  tags: Tags;
  attributes: Tags;
}

export interface Group {
  arn: string;
  input: Input;
  tags: Tags;
  attributes: Tags;
  /** The states of targets, by instance. */
  targets: Map<string, "initial" | "draining">;
}

export interface Listener {
  arn: string;
  balancer: string;
  input: Input;
  tags: Tags;
}

export interface SecurityGroup {
  id: string;
  name: string;
  vpc: string;
  tags: Tags;
  /** `tcp/80-80/0.0.0.0/0`. */
  rules: Set<string>;
}

export interface Instance {
  id: string;
  vpc: string;
  running: boolean;
  check: boolean;
  tags: Tags;
}

/** All resources, as plain data that tests may read and change. */
export interface State {
  options: NetworkOptions;
  balancers: Balancer[];
  groups: Group[];
  listeners: Listener[];
  securityGroups: SecurityGroup[];
  instances: Map<string, Instance>;
  /** Blocks and instances by route table. */
  routes: Map<string, Map<string, string>>;
  /** For ids. */
  serial: number;
}
