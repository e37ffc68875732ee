import { beforeAll, describe, expect, test } from "vitest";
import { parseConfig } from "./config.ts";
import { type Any, type Found, list, resources, statements } from "./testing/found.ts";
import { emptyBundles, least, most, type Synthesized, synthesize } from "./testing/index.ts";

let made: Synthesized;
beforeAll(async () => {
  made = await synthesize(most, await emptyBundles());
}, 120_000);

const one = (type: string, id?: string): Found => {
  const found = resources(made, type).filter((each) => id === undefined || each.id.startsWith(id));
  expect(found).toHaveLength(1);
  return found[0]!;
};
const container = (task: Found): Any => task.Properties["ContainerDefinitions"][0];
const refersTo = (value: unknown, id: string): boolean => JSON.stringify(value).includes(`"${id}"`);

describe("the gateway", () => {
  test("accepts connections through the load balancer from the configured clients, from nodes, and from no others", () => {
    const access = one("AWS::EC2::SecurityGroup", "Access");
    expect(access.Properties["SecurityGroupIngress"]).toMatchObject([
      { CidrIp: most.gateway.allow[0], FromPort: 6443, ToPort: 6443, IpProtocol: "tcp" },
    ]);
    const task = one("AWS::EC2::SecurityGroup", "Task");
    expect(task.Properties["SecurityGroupIngress"]).toBeUndefined();
    const ingress = resources(made, "AWS::EC2::SecurityGroupIngress").filter(({ Properties }) =>
      refersTo(Properties["GroupId"], task.id),
    );
    expect(ingress).toHaveLength(3);
    const port = { FromPort: 6443, ToPort: 6443, IpProtocol: "tcp" };
    for (const { Properties } of ingress) expect(Properties).toMatchObject(port);
    const sources = ingress.map(({ Properties }) => Properties["SourceSecurityGroupId"]);
    expect(sources.filter((source) => refersTo(source, access.id))).toHaveLength(1);
    // Another task checks whether the task that nodes have the address of still runs.
    expect(sources.filter((source) => refersTo(source, task.id))).toHaveLength(1);
    // Of another stack: nodes exist before the gateway.
    const nodes = resources(made, "AWS::EC2::SecurityGroup").find(({ id }) => /^Nodes/.test(id))!;
    expect(sources.filter((source) => JSON.stringify(source).includes(`FnGetAtt${nodes.id}GroupId`))).toHaveLength(1);
    const [balancer] = resources(made, "AWS::ElasticLoadBalancingV2::LoadBalancer");
    expect(balancer?.Properties).toMatchObject({ Type: "network", Scheme: "internet-facing" });
    expect(refersTo(balancer?.Properties["SecurityGroups"], access.id)).toBe(true);
  });

  test("terminates TLS itself: the load balancer passes bytes on, and checks readiness", () => {
    expect(one("AWS::ElasticLoadBalancingV2::Listener").Properties).toMatchObject({ Protocol: "TCP", Port: 6443 });
    expect(one("AWS::ElasticLoadBalancingV2::Listener").Properties["Certificates"]).toBeUndefined();
    expect(one("AWS::ElasticLoadBalancingV2::TargetGroup").Properties).toMatchObject({
      Protocol: "TCP",
      TargetType: "ip",
      HealthCheckProtocol: "HTTPS",
      HealthCheckPath: "/readyz",
    });
    const { DependsOn, Properties } = one("AWS::ECS::Service", "Gateway") as Found & { DependsOn?: string[] };
    expect(DependsOn).toContain(one("AWS::ElasticLoadBalancingV2::Listener").id);
    expect(Properties["LoadBalancers"]).toMatchObject([{ ContainerName: "gateway", ContainerPort: 6443 }]);
  });

  test("is built from the repository, and has its DNS name in the environment", () => {
    const task = one("AWS::ECS::TaskDefinition", "Gateway");
    expect(JSON.stringify(container(task).Image)).toMatch(/dkr\.ecr.*cdk-hnb659fds-container-assets/);
    expect(container(task)).toMatchObject({ ReadonlyRootFilesystem: true, PortMappings: [{ ContainerPort: 6443 }] });
    const environment = new Map(container(task).Environment.map((each: Any) => [each.Name, each.Value]));
    expect(JSON.stringify(environment.get("SKIFF_GATEWAY_NAME"))).toContain("DNSName");
    expect(environment.get("SKIFF_PORT")).toBe("6443");
  });

  test("has the permissions that serving requests needs, and none to deploy, wake itself or run anything", () => {
    const own = statements(made).filter(({ of }) => of.startsWith("GatewayRole"));
    const services = new Set(own.flatMap(({ Action }) => list(Action).map((action) => action.split(":")[0])));
    expect([...services].sort()).toEqual(["dynamodb", "logs", "secretsmanager", "sqs"]);
    const others = own.flatMap(({ Action }) => list(Action)).filter((action) => !action.startsWith("dynamodb:"));
    expect(others.sort()).toEqual([
      "logs:DescribeLogStreams",
      "logs:FilterLogEvents",
      "logs:GetLogEvents",
      "secretsmanager:GetSecretValue",
      "sqs:SendMessage",
    ]);
  });

  test("uses a configured image, and is internal to a VPC if configured", async () => {
    const image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/skiff:1";
    made = await synthesize({ ...least, gateway: { image, allow: ["0.0.0.0/0"], port: 443, scheme: "internal" } });
    expect(one("AWS::ElasticLoadBalancingV2::LoadBalancer").Properties["Scheme"]).toBe("internal");
    expect(container(one("AWS::ECS::TaskDefinition", "Gateway")).Image).toBe(image);
    expect(one("AWS::ElasticLoadBalancingV2::Listener").Properties["Port"]).toBe(443);
    // Its user is not root.
    const controls = [{ Namespace: "net.ipv4.ip_unprivileged_port_start", Value: "443" }];
    expect(container(one("AWS::ECS::TaskDefinition", "Gateway")).SystemControls).toEqual(controls);
    made = await synthesize(most);
    expect(container(one("AWS::ECS::TaskDefinition", "Gateway")).SystemControls).toBeUndefined();
  });

  test("is discovered by agents if it is deployed, and not otherwise", async () => {
    const scripts = (): string[] =>
      resources(made, "AWS::EC2::LaunchTemplate").map(({ Properties }) =>
        JSON.stringify(Properties["LaunchTemplateData"].UserData),
      );
    expect(scripts()).toHaveLength(most.nodeGroups.length + 1);
    const gateway = `"gateway":{"clusterId":"${most.account}/${most.region}/${most.cluster}"}`;
    for (const script of scripts()) expect(script.replaceAll("\\", "")).toContain(gateway);
    const { gateway: _, ...without } = most;
    made = await synthesize(without);
    expect(scripts()).toHaveLength(most.nodeGroups.length + 1);
    for (const script of scripts()) expect(script).not.toContain("clusterId");
    made = await synthesize(most);
  });

  test("is not open to an empty list of clients", () => {
    const allow = "test: gateway.allow";
    const scheme = /gateway\.scheme: .*"internet-facing"\|"internal"/;
    expect(() => parseConfig({ ...least, gateway: { allow: ["10.0.0.0/8"], scheme: "public" } }, "test")).toThrow(
      scheme,
    );
    expect(() => parseConfig({ ...least, gateway: {} }, "test")).toThrow(`${allow}: is missing`);
    expect(() => parseConfig({ ...least, gateway: { allow: [] } }, "test")).toThrow(
      `${allow}: must name the allowed clients`,
    );
  });
});

describe("the agents' service", () => {
  test("brings the agent to the host, which runs it", () => {
    const task = one("AWS::ECS::TaskDefinition", "AgentTask");
    expect(task.Properties).toMatchObject({
      NetworkMode: "host",
      PidMode: "host",
      RequiresCompatibilities: ["EC2"],
      Volumes: [{ Host: { SourcePath: "/opt/skiff" } }],
    });
    expect(task.Properties["TaskRoleArn"]).toBeUndefined();
    expect(container(task)).toMatchObject({
      Privileged: true,
      MountPoints: [{ ContainerPath: "/opt/skiff" }],
      Command: ["--config", "/etc/skiff/agent.json"],
    });
    expect(JSON.stringify(container(task).Image)).toContain("container-assets");
    expect(one("AWS::ECS::Service", "AgentService").Properties["SchedulingStrategy"]).toBe("DAEMON");
  });
});
