import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  type Listener,
  type LoadBalancer,
  type TargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Cloud } from "#cloud";
import type { Seen, World } from "#cloud/conformance";
import { awsCloud, type Ec2, ec2Query } from "../index.ts";
import { balancerName } from "../names.ts";
import { itemsAt, textAt, type Xml } from "../xml.ts";
import type { Front } from "./front.ts";

export interface AwsWorldOptions {
  front: Front;
  cluster: string;
  vpc: string;
  subnets: readonly string[];
  securityGroup: string;
  routeTables: readonly string[];
  podCidr: string;
  attempts?: number | undefined;
  addInstance(ec2: Ec2): Promise<string>;
  removeInstance(node: string, ec2: Ec2): Promise<void>;
  settle(): Promise<void>;
}

const region = "eu-west-1";
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

/** The world of the conformance suite over services at an address. Resources are read through the services. */
export class AwsWorld implements World {
  readonly cloud: Cloud;
  readonly #options: AwsWorldOptions;
  readonly #elb: ElasticLoadBalancingV2Client;
  readonly #ec2: Ec2;

  constructor(options: AwsWorldOptions) {
    const endpoint = options.front.url;
    this.#options = options;
    this.#elb = new ElasticLoadBalancingV2Client({ region, credentials, endpoint, maxAttempts: options.attempts ?? 1 });
    this.#ec2 = ec2Query({ region, credentials: async () => credentials, endpoint });
    this.cloud = awsCloud({ ...options, elb: this.#elb, ec2: this.#ec2 });
  }

  addInstance(): Promise<string> {
    return this.#options.addInstance(this.#ec2);
  }

  removeInstance(node: string): Promise<void> {
    return this.#options.removeInstance(node, this.#ec2);
  }

  settle(): Promise<void> {
    return this.#options.settle();
  }

  async balancers(): Promise<Seen[]> {
    const all: Seen[] = [];
    for (const one of await this.#balancers()) all.push(await this.#read(one));
    return all;
  }

  async things(): Promise<string[]> {
    const groups = (await this.#groups()).map(({ TargetGroupArn = "" }) => TargetGroupArn);
    const tags = new Map<string, Record<string, string>>();
    for (const arn of groups) tags.set(arn, await this.#tagsOf(arn));
    return [
      ...(await this.#securityGroups()).map((group) => textAt(group, "groupName")),
      ...(await this.#balancers()).map(({ LoadBalancerName = "" }) => LoadBalancerName),
      ...groups.filter((arn) => tags.get(arn)?.["skiff:cluster"] === this.#options.cluster),
    ];
  }

  arm(...args: Parameters<World["arm"]>): void {
    this.#options.front.arm(...args);
  }

  async revive(): Promise<boolean> {
    return this.#options.front.revive();
  }

  async close(): Promise<void> {
    this.#elb.destroy();
    await this.#options.front.stop();
  }

  async #tagsOf(arn: string): Promise<Record<string, string>> {
    const { TagDescriptions = [] } = await this.#elb.send(new DescribeTagsCommand({ ResourceArns: [arn] }));
    return Object.fromEntries((TagDescriptions[0]?.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
  }

  async #groups(): Promise<TargetGroup[]> {
    const found: TargetGroup[] = [];
    for (let Marker: string | undefined; ; ) {
      const answer = await this.#elb.send(new DescribeTargetGroupsCommand(Marker ? { Marker } : {}));
      found.push(...(answer.TargetGroups ?? []));
      Marker = answer.NextMarker;
      if (!Marker) return found;
    }
  }

  async #securityGroups(): Promise<Xml[]> {
    const Filter = [{ Name: "tag-key", Value: ["skiff:balancer"] }];
    const found: Xml[] = [];
    for (let NextToken = ""; ; ) {
      const answer = await this.#ec2("DescribeSecurityGroups", { Filter, ...(NextToken ? { NextToken } : {}) });
      found.push(...itemsAt(answer, "securityGroupInfo"));
      NextToken = textAt(answer, "nextToken");
      if (!NextToken) return found;
    }
  }

  async #balancers(): Promise<LoadBalancer[]> {
    const { cluster } = this.#options;
    const before = `skiff-${cluster}-balancer-`;
    const uids = (await this.#securityGroups()).map((group) => textAt(group, "groupName").slice(before.length));
    const found: LoadBalancer[] = [];
    for (const uid of uids) {
      const command = new DescribeLoadBalancersCommand({ Names: [balancerName(cluster, uid)] });
      const answer = await this.#elb.send(command).catch(() => undefined);
      found.push(...(answer?.LoadBalancers ?? []));
    }
    return found;
  }

  async #read(balancer: LoadBalancer): Promise<Seen> {
    const arn = balancer.LoadBalancerArn!;
    const { "skiff:balancer": uid = "" } = await this.#tagsOf(arn);
    const ports: Seen["ports"] = [];
    for (let Marker: string | undefined; ; ) {
      const input = { LoadBalancerArn: arn, ...(Marker ? { Marker } : {}) };
      const answer = await this.#elb.send(new DescribeListenersCommand(input));
      for (const listener of answer.Listeners ?? []) ports.push(await this.#portOf(listener));
      Marker = answer.NextMarker;
      if (!Marker) break;
    }
    return { uid, ports, sourceRanges: await this.#rangesOf(balancer, ports) };
  }

  async #portOf({ Port = 0, Protocol, DefaultActions = [] }: Listener): Promise<Seen["ports"][number]> {
    const { TargetGroupArn } = DefaultActions[0]!;
    const { Port: nodePort = 0 } = (await this.#groups()).find((one) => one.TargetGroupArn === TargetGroupArn)!;
    const { TargetHealthDescriptions = [] } = await this.#elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
    const nodes = TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== "draining");
    return { protocol: Protocol ?? "", port: Port, nodePort, nodes: nodes.map(({ Target }) => Target!.Id!) };
  }

  /** The source ranges of a load balancer. Throws unless every port has the same ranges, and no other port is open. */
  async #rangesOf({ SecurityGroups }: LoadBalancer, ports: Seen["ports"]): Promise<string[]> {
    const group = (await this.#securityGroups()).find((one) => SecurityGroups?.includes(textAt(one, "groupId")))!;
    const rules = itemsAt(group, "ipPermissions").flatMap((permission) =>
      itemsAt(permission, "ipRanges").map((range) => ({
        port: `${textAt(permission, "ipProtocol")}/${textAt(permission, "fromPort")}`,
        range: textAt(range, "cidrIp"),
      })),
    );
    const ranges = [...new Set(rules.map(({ range }) => range))];
    const open = ports.map(({ protocol, port }) => `${protocol.toLowerCase()}/${port}`);
    const expected = open.flatMap((port) => ranges.map((range) => `${port} ${range}`)).sort();
    const actual = rules.map(({ port, range }) => `${port} ${range}`).sort();
    if (actual.join() !== expected.join()) throw new Error(`open is ${actual.join()}, not ${expected.join()}`);
    return ranges;
  }
}
