import { type Input, QueryError } from "./query.ts";
import type { Instance, SecurityGroup, State, Tags } from "./state.ts";

/** Small, so that every list has several pages. */
const page = 2;

type Action = (input: Input) => Input;

const tagSet = (tags: Tags) => Object.entries(tags).map(([key, value]) => ({ key, value }));

/** Whether a resource passes filters: by tags, or by one of its fields. */
function passes(filters: Input, tags: Tags, fields: Record<string, string>): boolean {
  return (filters ?? []).every(({ Name, Value }: { Name: string; Value: string[] }) => {
    if (Name.startsWith("tag:")) return Value.includes(tags[Name.slice(4)] ?? "");
    if (Name === "tag-key") return Value.some((key) => key in tags);
    const field = fields[Name];
    if (field === undefined) throw new QueryError("InvalidParameterValue", `The filter '${Name}' is invalid`);
    return Value.includes(field);
  });
}

function paged<T>(all: readonly T[], token: string | undefined): { items: T[]; nextToken?: string } {
  const from = Number(token ?? 0);
  const more = from + page < all.length ? { nextToken: String(from + page) } : {};
  return { items: all.slice(from, from + page), ...more };
}

export function ec2Actions(state: State): Record<string, Action> {
  const { options } = state;
  const mine = (tags: Tags, what: string): void => {
    if (tags["skiff:cluster"] !== options.cluster)
      throw new QueryError("UnauthorizedOperation", `not allowed: ${what}`);
  };
  return { ...instances(state, mine), ...securityGroups(state, mine), ...routes(state) };
}

type Mine = (tags: Tags, what: string) => void;

const instances = (state: State, mine: Mine): Record<string, Action> => ({
  DescribeInstances({ Filter, NextToken }) {
    const all = [...state.instances.values()].filter(({ tags, vpc, running }) =>
      passes(Filter, tags, { "vpc-id": vpc, "instance-state-name": running ? "running" : "terminated" }),
    );
    const { items, nextToken } = paged(all, NextToken);
    const described = ({ id, vpc, check, tags }: Instance) => ({
      instanceId: id,
      vpcId: vpc,
      placement: { availabilityZone: "eu-west-1a" },
      sourceDestCheck: check,
      tagSet: tagSet(tags),
    });
    return { reservationSet: items.map((one) => ({ instancesSet: [described(one)] })), nextToken };
  },
  ModifyInstanceAttribute({ InstanceId, SourceDestCheck }) {
    const one = state.instances.get(InstanceId);
    if (!one?.running) throw new QueryError("InvalidInstanceID.NotFound");
    mine(one.tags, InstanceId);
    one.check = SourceDestCheck.Value === "true";
    return { return: true };
  },
});

function securityGroups(state: State, mine: Mine): Record<string, Action> {
  const find = (id: string): SecurityGroup => {
    const one = state.securityGroups.find((each) => each.id === id);
    if (!one) throw new QueryError("InvalidGroup.NotFound");
    return one;
  };
  const rulesOf = (permissions: Input): string[] =>
    permissions.flatMap(({ IpProtocol, FromPort, ToPort, IpRanges }: Input) =>
      IpRanges.map(({ CidrIp }: Input) => `${IpProtocol}/${FromPort}-${ToPort}/${CidrIp}`),
    );
  return {
    DescribeSecurityGroups({ Filter, NextToken }) {
      const all = state.securityGroups.filter(({ tags, vpc }) => passes(Filter, tags, { "vpc-id": vpc }));
      const { items, nextToken } = paged(all, NextToken);
      const permission = (rule: string) => {
        const [ipProtocol = "", ports = "", ...range] = rule.split("/");
        const [fromPort, toPort] = ports.split("-");
        return { ipProtocol, fromPort, toPort, ipRanges: [{ cidrIp: range.join("/") }] };
      };
      const described = items.map(({ id, name, tags, rules }) => ({
        ...{ groupId: id, groupName: name, tagSet: tagSet(tags) },
        ipPermissions: [...rules].map(permission),
      }));
      return { securityGroupInfo: described, nextToken };
    },
    CreateSecurityGroup({ GroupName, VpcId, TagSpecification }) {
      if (state.securityGroups.some(({ name }) => name === GroupName)) throw new QueryError("InvalidGroup.Duplicate");
      const tags: Tags = Object.fromEntries(TagSpecification[0].Tag.map(({ Key, Value }: Input) => [Key, Value]));
      mine(tags, GroupName);
      const id = `sg-${String(++state.serial).padStart(17, "0")}`;
      state.securityGroups.push({ id, name: GroupName, vpc: VpcId, tags, rules: new Set() });
      return { groupId: id };
    },
    AuthorizeSecurityGroupIngress({ GroupId, IpPermissions }) {
      const one = find(GroupId);
      mine(one.tags, GroupId);
      const rules = rulesOf(IpPermissions);
      if (rules.some((rule) => one.rules.has(rule))) throw new QueryError("InvalidPermission.Duplicate");
      for (const rule of rules) one.rules.add(rule);
      return { return: true };
    },
    RevokeSecurityGroupIngress({ GroupId, IpPermissions }) {
      const one = find(GroupId);
      mine(one.tags, GroupId);
      const rules = rulesOf(IpPermissions);
      if (rules.some((rule) => !one.rules.has(rule))) throw new QueryError("InvalidPermission.NotFound");
      for (const rule of rules) one.rules.delete(rule);
      return { return: true };
    },
    DeleteSecurityGroup({ GroupId }) {
      const one = find(GroupId);
      mine(one.tags, GroupId);
      if (state.balancers.some(({ input, state: is }) => is !== "lingering" && input.SecurityGroups.includes(GroupId)))
        throw new QueryError("DependencyViolation", `resource ${GroupId} has a dependent object`);
      state.securityGroups = state.securityGroups.filter((each) => each !== one);
      return { return: true };
    },
  };
}

function routes(state: State): Record<string, Action> {
  const tableOf = (id: string): Map<string, string> => {
    const table = state.routes.get(id);
    if (!table) throw new QueryError("InvalidRouteTableID.NotFound");
    return table;
  };
  const target = (id: string): string => {
    if (!state.instances.get(id)?.running) throw new QueryError("InvalidInstanceID.NotFound");
    return id;
  };
  return {
    DescribeRouteTables: ({ RouteTableId }) => ({
      routeTableSet: RouteTableId.map((routeTableId: string) => ({
        routeTableId,
        routeSet: [
          { destinationCidrBlock: "10.0.0.0/16", gatewayId: "local", state: "active" },
          { destinationCidrBlock: "0.0.0.0/0", gatewayId: "igw-1", state: "active" },
          { destinationPrefixListId: "pl-1", gatewayId: "vpce-1", state: "active" },
          ...[...tableOf(routeTableId)].map(([destinationCidrBlock, id]) => ({
            destinationCidrBlock,
            ...(state.instances.get(id)?.running ? { instanceId: id } : {}),
            networkInterfaceId: `eni-${id.slice(2)}`,
            state: state.instances.get(id)?.running ? "active" : "blackhole",
          })),
        ],
      })),
    }),
    CreateRoute({ RouteTableId, DestinationCidrBlock, InstanceId }) {
      const table = tableOf(RouteTableId);
      if (table.has(DestinationCidrBlock)) throw new QueryError("RouteAlreadyExists");
      table.set(DestinationCidrBlock, target(InstanceId));
      return { return: true };
    },
    ReplaceRoute({ RouteTableId, DestinationCidrBlock, InstanceId }) {
      const table = tableOf(RouteTableId);
      if (!table.has(DestinationCidrBlock)) throw new QueryError("InvalidParameterValue", "There is no route defined");
      table.set(DestinationCidrBlock, target(InstanceId));
      return { return: true };
    },
    DeleteRoute({ RouteTableId, DestinationCidrBlock }) {
      if (!tableOf(RouteTableId).delete(DestinationCidrBlock)) throw new QueryError("InvalidRoute.NotFound");
      return { return: true };
    },
  };
}
