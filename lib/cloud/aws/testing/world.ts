import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  type LoadBalancer,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Seen, World } from "#cloud/conformance";
import { awsCloud, type Ec2, ec2Query } from "../index.ts";
import { balancerName } from "../names.ts";
import { itemsAt, textAt } from "../xml.ts";
import type { Front } from "./front.ts";

export interface AwsWorldOptions {
  front: Front;
  cluster: string;
  vpc: string;
  subnets: readonly string[];
  securityGroup: string;
  routeTables: readonly string[];
  podCidr: string;
  attempts?: number;
  addInstance(ec2: Ec2): Promise<string>;
  removeInstance(node: string, ec2: Ec2): Promise<void>;
  settle(): Promise<void>;
}

const region = "eu-west-1";
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

/** The contract's world over services at an address. What stands is looked at through the services, as anybody would. */
export function awsWorld(options: AwsWorldOptions): World {
  const { front, cluster } = options;
  const elb = new ElasticLoadBalancingV2Client({
    region,
    credentials,
    endpoint: front.url,
    maxAttempts: options.attempts ?? 1,
  });
  const ec2 = ec2Query({ region, credentials: async () => credentials, endpoint: front.url });
  const tagged = async (arns: string[]): Promise<Map<string, Record<string, string>>> => {
    if (arns.length === 0) return new Map();
    const { TagDescriptions = [] } = await elb.send(new DescribeTagsCommand({ ResourceArns: arns }));
    return new Map(
      TagDescriptions.map(({ ResourceArn = "", Tags = [] }) => [
        ResourceArn,
        Object.fromEntries(Tags.map(({ Key = "", Value = "" }) => [Key, Value])),
      ]),
    );
  };
  const groups = async () => {
    const found = [];
    for (let Marker: string | undefined; ; ) {
      const answer = await elb.send(new DescribeTargetGroupsCommand(Marker ? { Marker } : {}));
      found.push(...(answer.TargetGroups ?? []));
      Marker = answer.NextMarker;
      if (!Marker) return found;
    }
  };
  const doors = async () => {
    const Filter = [{ Name: "tag-key", Value: ["skiff:balancer"] }];
    const found = [];
    for (let NextToken = ""; ; ) {
      const answer = await ec2("DescribeSecurityGroups", { Filter, ...(NextToken ? { NextToken } : {}) });
      found.push(...itemsAt(answer, "securityGroupInfo"));
      NextToken = textAt(answer, "nextToken");
      if (!NextToken) return found;
    }
  };
  const balancers = async (): Promise<LoadBalancer[]> => {
    const names = (await doors()).map((door) => textAt(door, "groupName"));
    const found: LoadBalancer[] = [];
    for (const Name of namesOf(names)) {
      const answer = await elb.send(new DescribeLoadBalancersCommand({ Names: [Name] })).catch(() => undefined);
      found.push(...(answer?.LoadBalancers ?? []));
    }
    return found;
  };
  const namesOf = (securityGroups: readonly string[]): string[] => {
    const before = `skiff-${cluster}-balancer-`;
    return securityGroups.map((name) => balancerName(cluster, name.slice(before.length)));
  };
  const seen = async (balancer: LoadBalancer): Promise<Seen> => {
    const arn = balancer.LoadBalancerArn!;
    const uid = (await tagged([arn])).get(arn)!["skiff:balancer"]!;
    const ports: Seen["ports"] = [];
    for (let Marker: string | undefined; ; ) {
      const answer = await elb.send(
        new DescribeListenersCommand({ LoadBalancerArn: arn, ...(Marker ? { Marker } : {}) }),
      );
      for (const { Port = 0, Protocol = "", DefaultActions = [] } of answer.Listeners ?? []) {
        const { TargetGroupArn } = DefaultActions[0]!;
        const { Port: nodePort = 0 } = (await groups()).find((one) => one.TargetGroupArn === TargetGroupArn)!;
        const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
        const nodes = TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== "draining");
        ports.push({ protocol: Protocol, port: Port, nodePort, nodes: nodes.map(({ Target }) => Target!.Id!) });
      }
      Marker = answer.NextMarker;
      if (!Marker) break;
    }
    const door = (await doors()).find((one) => balancer.SecurityGroups?.includes(textAt(one, "groupId")))!;
    const rules = itemsAt(door, "ipPermissions").flatMap((permission) =>
      itemsAt(permission, "ipRanges").map((range) => ({
        what: `${textAt(permission, "ipProtocol")}/${textAt(permission, "fromPort")}`,
        range: textAt(range, "cidrIp"),
      })),
    );
    // Every port has the same ranges, and nothing else is open.
    const ranges = [...new Set(rules.map(({ range }) => range))];
    const open = ports.map(({ protocol, port }) => `${protocol.toLowerCase()}/${port}`);
    const expected = open.flatMap((what) => ranges.map((range) => `${what} ${range}`)).sort();
    const actual = rules.map(({ what, range }) => `${what} ${range}`).sort();
    if (actual.join() !== expected.join()) throw new Error(`open is ${actual.join()}, not ${expected.join()}`);
    return { uid, ports, sourceRanges: ranges };
  };
  const cloud = awsCloud({ ...options, elb, ec2 });
  return {
    cloud,
    addInstance: () => options.addInstance(ec2),
    removeInstance: (node) => options.removeInstance(node, ec2),
    settle: () => options.settle(),
    async balancers() {
      const all: Seen[] = [];
      for (const one of await balancers()) all.push(await seen(one));
      return all;
    },
    async things() {
      const ours = (await groups()).map(({ TargetGroupArn = "" }) => TargetGroupArn);
      const tags = new Map<string, Record<string, string>>();
      for (const arn of ours) for (const [key, value] of await tagged([arn])) tags.set(key, value);
      return [
        ...(await doors()).map((door) => textAt(door, "groupName")),
        ...(await balancers()).map(({ LoadBalancerName = "" }) => LoadBalancerName),
        ...ours.filter((arn) => tags.get(arn)?.["skiff:cluster"] === cluster),
      ];
    },
    arm: (call, fault) => front.arm(call, fault),
    revive: async () => front.revive(),
    async close() {
      elb.destroy();
      await front.stop();
    },
  };
}
