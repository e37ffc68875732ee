import { type Input, QueryError } from "./query.ts";
import type { Balancer, Group, Listener, State, Tags } from "./state.ts";

const page = 2;
type Action = (input: Input) => Input;

const tagsOf = (list: Input): Tags => Object.fromEntries((list ?? []).map(({ Key, Value }: Input) => [Key, Value]));
const pairs = (tags: Tags) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
const account = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";
const health = [
  ...["HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath", "HealthCheckIntervalSeconds"],
  ...["HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount"],
];
const picked = (input: Input, names: readonly string[]) =>
  Object.fromEntries(names.filter((name) => name in input).map((name) => [name, input[name]]));

export function elbActions(state: State): Record<string, Action> {
  /** Throws AccessDenied, as the permissions do, unless the resource has the cluster's tags. */
  const mine = <T extends { tags: Tags; arn: string }>(one: T): T => {
    if (one.tags["skiff:cluster"] !== state.options.cluster || !one.tags["skiff:balancer"])
      throw new QueryError("AccessDenied", `not allowed: ${one.arn}`);
    return one;
  };
  const id = (): string => String(++state.serial).padStart(16, "0");
  const shared: Shared = { state, mine, id };
  return {
    ...balancers(shared),
    ...groups(shared),
    ...targets(shared),
    ...listeners(shared),
    DescribeTags({ ResourceArns }) {
      if (ResourceArns.length > 20) throw new QueryError("ValidationError", "at most 20");
      const all = [...state.balancers, ...state.groups, ...state.listeners];
      const found = ResourceArns.map((arn: string) => all.find((one) => one.arn === arn));
      if (found.includes(undefined)) throw new QueryError("LoadBalancerNotFound");
      return { TagDescriptions: found.map((one: Group) => ({ ResourceArn: one.arn, Tags: pairs(one.tags) })) };
    },
  };
}

interface Shared {
  state: State;
  mine<T extends { tags: Tags; arn: string }>(one: T): T;
  id(): string;
}

function balancers({ state, mine, id }: Shared): Record<string, Action> {
  const there = () => state.balancers.filter(({ state: is }) => is !== "going" && is !== "lingering");
  const find = (arn: string): Balancer => {
    const one = there().find((each) => each.arn === arn);
    if (!one) throw new QueryError("LoadBalancerNotFound");
    return one;
  };
  const described = ({ arn, input, state: Code }: Balancer) => ({
    LoadBalancerArn: arn,
    LoadBalancerName: input.Name,
    DNSName: `${input.Name}-${arn.slice(-16)}.elb.eu-west-1.amazonaws.com`,
    Scheme: input.Scheme,
    Type: "network",
    SecurityGroups: input.SecurityGroups,
    AvailabilityZones: input.Subnets.map((SubnetId: string) => ({ ZoneName: "eu-west-1a", SubnetId })),
    State: { Code },
  });
  return {
    CreateLoadBalancer({ Tags: tags, ...input }) {
      const same = there().find((one) => one.input.Name === input.Name);
      if (same) {
        if (same.input.Scheme !== input.Scheme) throw new QueryError("DuplicateLoadBalancerName");
        return { LoadBalancers: [described(same)] };
      }
      const groups = input.SecurityGroups.map((each: string) => state.securityGroups.some((one) => one.id === each));
      if (groups.includes(false)) throw new QueryError("InvalidSecurityGroup");
      const arn = `${account}:loadbalancer/net/${input.Name}/${id()}`;
      const one: Balancer = { arn, input, state: "provisioning", tags: tagsOf(tags), attributes: {} };
      state.balancers.push(mine(one));
      return { LoadBalancers: [described(one)] };
    },
    DescribeLoadBalancers({ Names }) {
      const found = there().filter(({ input }) => Names.includes(input.Name));
      if (found.length < Names.length) throw new QueryError("LoadBalancerNotFound", "One or more not found");
      return { LoadBalancers: found.map(described) };
    },
    DescribeLoadBalancerAttributes: ({ LoadBalancerArn }) => ({
      Attributes: pairs({ "load_balancing.cross_zone.enabled": "false", ...find(LoadBalancerArn).attributes }),
    }),
    ModifyLoadBalancerAttributes({ LoadBalancerArn, Attributes }) {
      Object.assign(mine(find(LoadBalancerArn)).attributes, tagsOf(Attributes));
      return { Attributes };
    },
    SetSubnets({ LoadBalancerArn, Subnets }) {
      mine(find(LoadBalancerArn)).input.Subnets = Subnets;
      return {};
    },
    DeleteLoadBalancer({ LoadBalancerArn }) {
      const one = there().find((each) => each.arn === LoadBalancerArn);
      if (one) mine(one).state = "going";
      state.listeners = state.listeners.filter(({ balancer }) => balancer !== LoadBalancerArn);
      // Its target groups remain in use until it no longer exists.
      return {};
    },
  };
}

const describedGroup = ({ arn, input }: Group) => ({
  TargetGroupArn: arn,
  TargetGroupName: input.Name,
  ...picked(input, ["Protocol", "Port", "VpcId", "TargetType", ...health]),
});

function findGroup(state: State, arn: string): Group {
  const one = state.groups.find((each) => each.arn === arn);
  if (!one) throw new QueryError("TargetGroupNotFound");
  return one;
}

const groups = ({ state, mine, id }: Shared): Record<string, Action> => ({
  CreateTargetGroup({ Tags: tags, ...input }) {
    const same = state.groups.find((one) => one.input.Name === input.Name);
    if (same) {
      if (JSON.stringify(same.input) !== JSON.stringify(input)) throw new QueryError("DuplicateTargetGroupName");
      return { TargetGroups: [describedGroup(same)] };
    }
    const arn = `${account}:targetgroup/${input.Name}/${id()}`;
    const one: Group = { arn, input, tags: tagsOf(tags), attributes: {}, targets: new Map() };
    state.groups.push(mine(one));
    return { TargetGroups: [describedGroup(one)] };
  },
  DescribeTargetGroups({ Marker }) {
    const from = Number(Marker ?? 0);
    const NextMarker = from + page < state.groups.length ? String(from + page) : undefined;
    return { TargetGroups: state.groups.slice(from, from + page).map(describedGroup), NextMarker };
  },
  ModifyTargetGroup({ TargetGroupArn, ...input }) {
    Object.assign(mine(findGroup(state, TargetGroupArn)).input, picked(input, health));
    return {};
  },
  DescribeTargetGroupAttributes({ TargetGroupArn }) {
    const defaults = {
      "stickiness.enabled": "false",
      "stickiness.type": "source_ip",
      "proxy_protocol_v2.enabled": "false",
    };
    return { Attributes: pairs({ ...defaults, ...findGroup(state, TargetGroupArn).attributes }) };
  },
  ModifyTargetGroupAttributes({ TargetGroupArn, Attributes }) {
    Object.assign(mine(findGroup(state, TargetGroupArn)).attributes, tagsOf(Attributes));
    return { Attributes };
  },
  DeleteTargetGroup({ TargetGroupArn }) {
    const one = state.groups.find((each) => each.arn === TargetGroupArn);
    if (!one) return {};
    mine(one);
    const isHeld = state.balancers.some(
      ({ state: is, tags }) =>
        (is === "going" || is === "lingering") && tags["skiff:balancer"] === one.tags["skiff:balancer"],
    );
    if (isHeld || state.listeners.some(({ input }) => input.DefaultActions[0].TargetGroupArn === TargetGroupArn))
      throw new QueryError("ResourceInUse", `Target group '${TargetGroupArn}' is currently in use`);
    state.groups = state.groups.filter((each) => each !== one);
    return {};
  },
});

const targets = ({ state, mine }: Shared): Record<string, Action> => ({
  RegisterTargets({ TargetGroupArn, Targets }) {
    const group = mine(findGroup(state, TargetGroupArn));
    const bad = Targets.find(({ Id }: Input) => !state.instances.get(Id)?.running);
    if (bad) throw new QueryError("InvalidTarget", `'${bad.Id}' is not in a valid state`);
    for (const { Id } of Targets) group.targets.set(Id, "initial");
    return {};
  },
  DeregisterTargets({ TargetGroupArn, Targets }) {
    const group = mine(findGroup(state, TargetGroupArn));
    for (const { Id } of Targets) if (group.targets.has(Id)) group.targets.set(Id, "draining");
    return {};
  },
  DescribeTargetHealth({ TargetGroupArn }) {
    const group = findGroup(state, TargetGroupArn);
    return {
      TargetHealthDescriptions: [...group.targets].map(([Id, State]) => ({
        Target: { Id, Port: group.input.Port },
        TargetHealth: { State },
      })),
    };
  },
});

function listeners({ state, mine, id }: Shared): Record<string, Action> {
  const find = (arn: string): Listener => {
    const one = state.listeners.find((each) => each.arn === arn);
    if (!one) throw new QueryError("ListenerNotFound");
    return one;
  };
  const check = ({ Protocol, DefaultActions }: Input): void => {
    const group = state.groups.find(({ arn }) => arn === DefaultActions[0].TargetGroupArn);
    if (!group) throw new QueryError("TargetGroupNotFound");
    if (group.input.Protocol !== Protocol) throw new QueryError("IncompatibleProtocols");
  };
  const described = ({ arn, balancer, input }: Listener) => ({
    ListenerArn: arn,
    LoadBalancerArn: balancer,
    ...picked(input, ["Port", "Protocol", "DefaultActions"]),
  });
  return {
    CreateListener({ LoadBalancerArn, Tags: tags, ...input }) {
      const balancer = state.balancers.find(({ arn }) => arn === LoadBalancerArn);
      if (!balancer || balancer.state === "going" || balancer.state === "lingering")
        throw new QueryError("LoadBalancerNotFound");
      mine(balancer);
      check(input);
      const same = state.listeners.find((one) => one.balancer === LoadBalancerArn && one.input.Port === input.Port);
      if (same) {
        if (JSON.stringify(same.input) !== JSON.stringify(input)) throw new QueryError("DuplicateListener");
        return { Listeners: [described(same)] };
      }
      const arn = `${LoadBalancerArn.replace(":loadbalancer/", ":listener/")}/${id()}`;
      const one: Listener = { arn, balancer: LoadBalancerArn, input, tags: tagsOf(tags) };
      state.listeners.push(mine(one));
      return { Listeners: [described(one)] };
    },
    DescribeListeners({ LoadBalancerArn, Marker }) {
      const all = state.listeners.filter(({ balancer }) => balancer === LoadBalancerArn);
      const from = Number(Marker ?? 0);
      const NextMarker = from + page < all.length ? String(from + page) : undefined;
      return { Listeners: all.slice(from, from + page).map(described), NextMarker };
    },
    ModifyListener({ ListenerArn, ...input }) {
      check(input);
      Object.assign(mine(find(ListenerArn)).input, picked(input, ["Port", "Protocol", "DefaultActions"]));
      return {};
    },
    DeleteListener({ ListenerArn }) {
      mine(find(ListenerArn));
      state.listeners = state.listeners.filter(({ arn }) => arn !== ListenerArn);
      return {};
    },
  };
}
