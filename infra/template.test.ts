import { App, Stack, aws_sqs as sqs } from "aws-cdk-lib";
import { beforeAll, describe, expect, test } from "vitest";
import { tables } from "#store/dynamo";
import { foldersOf } from "./bundle.ts";
import { check } from "./checks.ts";
import type { ConfigInput } from "./config.ts";
import { acknowledge } from "./constructs/acknowledge.ts";
import { functionNames, functions } from "./functions.ts";
import { type Any, resources } from "./testing/found.ts";
import { faultsOf } from "./testing/grammar.ts";
import { emptyBundles, least, most, type Synthesized, synthesize } from "./testing/index.ts";
import { nodeScript } from "./user-data.ts";
import type { Template } from "./wiring.ts";

let small: Synthesized;
let large: Synthesized;

beforeAll(async () => {
  const bundles = await emptyBundles();
  small = await synthesize(least, bundles);
  large = await synthesize(most, bundles);
}, 120_000);

describe("data", () => {
  test("tables match the store's driver, are encrypted and on demand, and have point-in-time recovery", () => {
    const found = resources(large, "AWS::DynamoDB::Table");
    expect(found).toHaveLength(2);
    for (const definition of Object.values(tables)) {
      const keys = [definition.partitionKey.name, definition.sortKey.name];
      const table = found.find(({ Properties }) => {
        const names = Properties["KeySchema"].map((key: Any) => key.AttributeName);
        return JSON.stringify(names) === JSON.stringify(keys);
      });
      expect(table?.Properties).toMatchObject({
        BillingMode: "PAY_PER_REQUEST",
        SSESpecification: { SSEEnabled: true },
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        DeletionProtectionEnabled: true,
        TimeToLiveSpecification: { AttributeName: definition.timeToLive, Enabled: true },
      });
      expect(table?.Properties["StreamSpecification"]?.StreamViewType).toBe(definition.stream);
    }
  });

  const data = ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"];
  test("data outlives the stacks by default", async () => {
    const kept = resources(large, ...data);
    expect(kept.map(({ DeletionPolicy }) => DeletionPolicy)).toEqual(Array(4).fill("Retain"));
    const podLogs = resources(large, "AWS::Logs::LogGroup").find(({ id }) => id.startsWith("PodLogs"));
    expect(podLogs?.DeletionPolicy).toBe("Retain");
    const gone = await synthesize({ ...least, data: "delete", alarms: { enabled: false } });
    expect(resources(gone, ...data).map(({ DeletionPolicy }) => DeletionPolicy)).toEqual(Array(4).fill("Delete"));
    for (const { Properties } of resources(gone, "AWS::DynamoDB::Table")) {
      expect(Properties["DeletionProtectionEnabled"]).toBe(false);
    }
  });

  test("queues are encrypted, have dead letters or are some, and dead letters of a FIFO queue are FIFO", () => {
    const queues = resources(large, "AWS::SQS::Queue");
    const byId = new Map(queues.map((queue) => [queue.id, queue]));
    expect(queues.length).toBeGreaterThan(8);
    for (const { id, Properties } of queues) {
      expect(Properties["SqsManagedSseEnabled"], id).toBe(true);
      expect(Properties["ContentBasedDeduplication"] ?? false, id).toBe(false);
      const redrive = Properties["RedrivePolicy"];
      if (!redrive) {
        expect(id).toMatch(/Dead|Failures/);
        expect(Properties["MessageRetentionPeriod"], id).toBe(14 * 86_400);
        continue;
      }
      const dead = byId.get(redrive.deadLetterTargetArn["Fn::GetAtt"][0]);
      expect(dead?.Properties["FifoQueue"], id).toBe(Properties["FifoQueue"]);
      expect(Properties).toMatchObject({
        DeduplicationScope: "messageGroup",
        FifoThroughputLimit: "perMessageGroupId",
      });
    }
  });

  test("a message is hidden for more than six times its function's timeout", () => {
    for (const name of ["reconcile", "schedule", "fargate"] as const) {
      const id = `${name[0]?.toUpperCase()}${name.slice(1)}`;
      const queue = resources(large, "AWS::SQS::Queue").find((one) => new RegExp(`^${id}[0-9A-F]{8}$`).test(one.id));
      expect(queue?.Properties["VisibilityTimeout"], name).toBeGreaterThan(functions[name].timeout * 6);
    }
  });
});

describe("functions", () => {
  test("have the defaults of the app", () => {
    for (const { id, Properties } of resources(large, "AWS::Lambda::Function")) {
      expect(Properties, id).toMatchObject({
        Runtime: "nodejs24.x",
        Architectures: ["arm64"],
        TracingConfig: { Mode: "Active" },
        LoggingConfig: { LogFormat: "JSON", LogGroup: expect.anything() },
      });
      expect(Properties["VpcConfig"], id).toBeUndefined();
    }
    expect(resources(large, "AWS::Lambda::Function")).toHaveLength(functionNames.length);
  });

  test("called asynchronously, store failed calls", () => {
    const withQueue = resources(large, "AWS::Lambda::Function").filter(
      ({ Properties }) => Properties["DeadLetterConfig"],
    );
    expect(withQueue.map(({ Properties }) => Properties["FunctionName"].split("-").at(-1)).sort()).toEqual([
      "bootstrap",
      "fargate",
      "link",
      "tick",
    ]);
  });

  test("may wake themselves only as configured", () => {
    const allowed = resources(large, "AWS::Lambda::Function").filter(
      ({ Properties }) => Properties["RecursiveLoop"] === "Allow",
    );
    expect(allowed.map(({ Properties }) => Properties["FunctionName"].split("-").at(-1)).sort()).toEqual([
      "fargate",
      "reconcile",
      "schedule",
    ]);
  });

  test("have no secret in their environment", () => {
    for (const { id, Properties } of resources(large, "AWS::Lambda::Function", "AWS::ECS::TaskDefinition")) {
      const text = JSON.stringify(Properties["Environment"] ?? Properties["ContainerDefinitions"]);
      expect(text, id).not.toMatch(/resolve:secretsmanager|resolve:ssm-secure|PASSWORD|PRIVATE KEY/i);
      const names = text.match(/SKIFF_[A-Z_]+/g) ?? [];
      expect(
        names.filter((name) => /SECRET|TOKEN|KEY/.test(name) && !name.endsWith("_ARN")),
        id,
      ).toEqual([]);
    }
  });

  test("no folder of functions/ is without a row; a row without a folder cannot be built", () => {
    const folders = foldersOf("functions");
    expect(folders.length).toBeGreaterThan(6);
    expect(folders.filter((name) => !(name in functions))).toEqual([]);
  });

  test("a queue for each, logs that end", () => {
    for (const { id, Properties } of resources(large, "AWS::Logs::LogGroup")) {
      expect(Properties["RetentionInDays"], id).toBeGreaterThan(0);
    }
  });
});

describe("events of AWS", () => {
  test("filters and patterns conform to the grammar", () => {
    const mappings = resources(large, "AWS::Lambda::EventSourceMapping");
    const filters = mappings.flatMap(({ Properties }) => Properties["FilterCriteria"]?.Filters ?? []);
    expect(filters).toHaveLength(1);
    for (const { Pattern } of filters) {
      expect(Pattern.length).toBeLessThan(4096);
      expect(faultsOf(JSON.parse(Pattern), { lambda: true })).toEqual([]);
    }
    const rules = resources(large, "AWS::Events::Rule");
    expect(rules).toHaveLength(4);
    for (const { Properties } of rules) {
      // References are strings by the time that EventBridge sees them.
      const text = JSON.stringify(Properties["EventPattern"], (_key, value) =>
        value && typeof value === "object" && ("Fn::ImportValue" in value || "Fn::GetAtt" in value) ? "arn" : value,
      );
      expect(faultsOf(JSON.parse(text), { lambda: false })).toEqual([]);
    }
  });

  test("the grammar's checker rejects what AWS rejects", () => {
    const leaf = (matcher: unknown) => faultsOf({ a: [matcher] }, { lambda: true });
    expect(leaf({ "anything-but": { prefix: "a" } })).toHaveLength(1);
    expect(leaf({ "anything-but": ["a"] })).toEqual([]);
    expect(leaf({ exist: true })).toHaveLength(1);
    expect(leaf({ wildcard: "a*" })).toHaveLength(1);
    expect(faultsOf({ a: "b" }, { lambda: true })).toEqual(["$.a: must be an object"]);
    expect(faultsOf({ a: [] }, { lambda: true })).toHaveLength(1);
  });
});

describe("nodes", () => {
  const templates = (made: Synthesized) => resources(made, "AWS::EC2::LaunchTemplate");

  test("protect their role and their disks", () => {
    expect(templates(large)).toHaveLength(3);
    for (const { Properties } of templates(large)) {
      expect(Properties["LaunchTemplateData"]).toMatchObject({
        MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1 },
        BlockDeviceMappings: [{ Ebs: { Encrypted: true, VolumeType: "gp3" } }],
      });
    }
    const groups = resources(large, "AWS::EC2::SecurityGroup");
    for (const { Properties } of groups) expect(JSON.stringify(Properties)).not.toMatch(/Ingress.*0\.0\.0\.0\/0/);
  });

  test("are configured with the cluster's endpoint, and with no secret", () => {
    for (const { Properties } of templates(large)) {
      const script = JSON.stringify(Properties["LaunchTemplateData"].UserData);
      expect(script.length).toBeLessThan(16_384);
      expect(script).toContain(JSON.stringify('"sigv4":true').slice(1, -1));
    }
    const script = nodeScript({ agent: "s3://b/k", config: { server: "https://a/iam", sigv4: true } });
    const config = script[script.findIndex((line) => line.startsWith("sed")) + 1] ?? "";
    expect(JSON.parse(config)).toEqual({ server: "https://a/iam", sigv4: true, nodes: [{ name: "INSTANCE_ID" }] });
  });

  test("spot is spot", () => {
    const groups = resources(large, "AWS::AutoScaling::AutoScalingGroup");
    const onDemand = groups.map(
      ({ Properties }) => Properties["MixedInstancesPolicy"].InstancesDistribution.OnDemandPercentageAboveBaseCapacity,
    );
    expect(onDemand.sort()).toEqual([0, 100, 100]);
  });

  test("a VPC can be adopted, and none is created then", async () => {
    const vpc = { id: "vpc-0123456789abcdef0", subnets: ["subnet-01234567", "subnet-89abcdef"] };
    const made = await synthesize({ ...least, vpc, nodeGroups: [{ name: "a" }], alarms: { enabled: false } });
    expect(resources(made, "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::NatGateway")).toEqual([]);
    const [group] = resources(made, "AWS::AutoScaling::AutoScalingGroup");
    expect(group?.Properties["VPCZoneIdentifier"]).toEqual(vpc.subnets);
    expect(resources(large, "AWS::EC2::NatGateway")).toEqual([]);
  });
});

describe("alarms", () => {
  test("can notify an email address", async () => {
    const few = await synthesize({ ...least, alarms: { enabled: true } });
    for (const made of [few, large]) {
      const actions = resources(made, "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm").flatMap(
        ({ Properties }) => [...(Properties["AlarmActions"] ?? []), ...(Properties["OKActions"] ?? [])],
      );
      expect(actions.length).toBeGreaterThan(1);
      const topics = [...new Set(actions.map(({ Ref }: Any) => Ref))];
      const [policy, ...more] = resources(made, "AWS::SNS::TopicPolicy");
      expect([policy?.Properties["Topics"].map(({ Ref }: Any) => Ref), more]).toEqual([topics, []]);
      const allowed = policy?.Properties["PolicyDocument"].Statement.filter(({ Effect }: Any) => Effect === "Allow");
      expect(allowed).toMatchObject([
        {
          Action: "sns:Publish",
          Principal: { Service: "cloudwatch.amazonaws.com" },
          Resource: { Ref: topics[0] },
          Condition: { StringEquals: { "aws:SourceAccount": expect.anything() } },
        },
      ]);
    }
  });
});

describe("all of it", () => {
  const limits: Record<string, [string, number]> = {
    "AWS::Lambda::Function": ["FunctionName", 64],
    "AWS::ApiGateway::RestApi": ["Name", 128],
    "AWS::ApiGatewayV2::Api": ["Name", 128],
    "AWS::ECS::Cluster": ["ClusterName", 255],
    "AWS::ECS::TaskDefinition": ["Family", 255],
    "AWS::CloudWatch::Dashboard": ["DashboardName", 255],
    "AWS::CloudWatch::Alarm": ["AlarmName", 255],
    "AWS::CloudWatch::CompositeAlarm": ["AlarmName", 255],
    "AWS::Logs::LogGroup": ["LogGroupName", 512],
    "AWS::SNS::Topic": ["DisplayName", 100],
  };

  test("names fit AWS's limits with the longest cluster name", () => {
    for (const { Type, Properties, id } of resources(large)) {
      const [property = "", most = 0] = limits[Type] ?? [];
      const name = Properties[property];
      if (typeof name === "string") expect(name.length, id).toBeLessThanOrEqual(most);
      const description = Properties["Description"];
      if (typeof description === "string") expect(description.length, id).toBeLessThanOrEqual(256);
    }
    for (const stack of Object.keys(large.templates)) expect(stack.length).toBeLessThanOrEqual(128);
    for (const { Resources } of Object.values(large.templates)) {
      expect(Object.keys(Resources).length).toBeLessThan(500);
    }
  });

  test("two clusters of one account do not collide", async () => {
    const other = await synthesize({ ...least, cluster: "other" });
    const named = (made: Synthesized) =>
      resources(made).flatMap(({ Type, Properties }) => {
        const all = [
          ...new Set([...Object.values(limits).map(([property]) => property), "QueueName", "TableName", "RoleName"]),
        ];
        return all.flatMap((property) => {
          // These need not be unique.
          if (property === "DisplayName") return [];
          const name = Properties[property];
          return typeof name === "string" && property !== "Name" ? [`${Type} ${name}`] : [];
        });
      });
    expect(named(small).length).toBeGreaterThan(12);
    expect(named(small).filter((name) => named(other).includes(name))).toEqual([]);
    expect(Object.keys(small.templates).filter((stack) => stack in other.templates)).toEqual([]);
    const exported = ({ templates }: Synthesized) =>
      Object.values(templates).flatMap(({ Outputs = {} }: Template) =>
        Object.values(Outputs).flatMap(({ Export }) => (Export ? [String(Export.Name)] : [])),
      );
    expect(exported(small).filter((name) => exported(other).includes(name))).toEqual([]);
  });

  test("tags and the boundary are everywhere", () => {
    for (const { Properties, id } of resources(large, "AWS::IAM::Role")) {
      expect(Properties["PermissionsBoundary"], id).toBe(most.permissionsBoundary);
    }
    for (const { Properties, id } of resources(large, "AWS::Lambda::Function")) {
      expect(Properties["Tags"], id).toEqual(
        expect.arrayContaining([
          { Key: "team", Value: "platform" },
          { Key: "skiff:cluster", Value: most.cluster },
        ]),
      );
    }
  });

  test("the checks find nothing, and can find something", () => {
    expect(check(large.app).violations).toEqual([]);
    const app = new App({ analyticsReporting: false });
    const queue = new sqs.CfnQueue(new Stack(app, "planted"), "Open", { sqsManagedSseEnabled: false });
    expect(check(app).violations.map(({ ruleName }) => ruleName)).toContain("AwsSolutions-SQS2");
    acknowledge(queue, { SQS2: "planted" });
    expect(check(app).violations.map(({ ruleName }) => ruleName)).not.toContain("AwsSolutions-SQS2");
  });

  test("outputs", () => {
    const values = Object.values(small.templates["skiff-demo-api"]?.Outputs ?? {}).map(({ Value }) =>
      JSON.stringify(Value),
    );
    expect(values.some((value) => value.includes("kubectl config set-credentials skiff-demo"))).toBe(true);
  });

  test("a key of its own for each birth", async () => {
    const version = (made: Synthesized) => resources(made, "Custom::SkiffBootstrap")[0]?.Properties["version"];
    expect(version(small)).toMatch(/^0\.0\.0-[0-9a-f]{16}$/);
    expect(version(small)).not.toBe(
      version(await synthesize({ ...least, serviceCidr: "10.97.0.0/16" } satisfies ConfigInput)),
    );
  });
});
