import { beforeAll, describe, expect, test } from "vitest";
import { functionNames } from "./functions.ts";
import { type Any, list, resources, statements } from "./testing/found.ts";
import { emptyBundles, least, most, type Synthesized, synthesize } from "./testing/index.ts";

let large: Synthesized;

beforeAll(async () => {
  const bundles = await emptyBundles();
  large = await synthesize(most, bundles);
}, 120_000);

/** Actions without resource-level permissions (the service authorization reference of each service). */
const unnamable = new Set([
  "dynamodb:ListStreams",
  "ec2:DescribeAccountAttributes",
  "ec2:DescribeAddresses",
  "ec2:DescribeInstances",
  "ec2:DescribeInternetGateways",
  "ec2:DescribeRouteTables",
  "ec2:DescribeSecurityGroups",
  "ec2:DescribeSubnets",
  "ec2:DescribeVpcs",
  "ecr:GetAuthorizationToken",
  "ecs:DeregisterTaskDefinition",
  "ecs:DescribeTaskDefinition",
  "ecs:DiscoverPollEndpoint",
  "ecs:ListTaskDefinitionFamilies",
  "elasticloadbalancing:DescribeListeners",
  "elasticloadbalancing:DescribeLoadBalancerAttributes",
  "elasticloadbalancing:DescribeLoadBalancers",
  "elasticloadbalancing:DescribeTags",
  "elasticloadbalancing:DescribeTargetGroupAttributes",
  "elasticloadbalancing:DescribeTargetGroups",
  "elasticloadbalancing:DescribeTargetHealth",
  "logs:CreateLogDelivery",
  "logs:DeleteLogDelivery",
  "logs:DescribeLogGroups",
  "logs:DescribeResourcePolicies",
  "logs:GetLogDelivery",
  "logs:ListLogDeliveries",
  "logs:PutResourcePolicy",
  "logs:UpdateLogDelivery",
  "xray:GetSamplingRules",
  "xray:GetSamplingTargets",
  "xray:PutTelemetryRecords",
  "xray:PutTraceSegments",
]);

describe("permissions", () => {
  test("no action has a wildcard", () => {
    expect(statements(large).length).toBeGreaterThan(60);
    for (const { Effect, Action, of } of statements(large)) {
      if (Effect !== "Allow") continue;
      expect(
        list(Action).filter((action) => action.includes("*")),
        of,
      ).toEqual([]);
    }
  });

  test("no resource is `*`, except for actions without resource-level permissions", () => {
    for (const { Action, Resource, of } of statements(large)) {
      if (!list(Resource).includes("*")) continue;
      expect(
        list(Action).filter((action) => !unnamable.has(action)),
        of,
      ).toEqual([]);
    }
  });

  test("a wildcard follows a prefix of this cluster or of this account's registry, or conditions require tags", () => {
    const tagged = /(?:Resource|Request)Tag\/skiff:cluster|:CreateAction"/;
    for (const { Resource, Condition } of statements(large) as (Any & { of: string })[]) {
      for (const one of list(Resource).filter((name) => JSON.stringify(name).includes("*") && name !== "*")) {
        // The region does not identify an owner.
        const text = JSON.stringify(one).replaceAll(/{"Ref":"AWS::\w+"}/g, "");
        if (tagged.test(JSON.stringify(Condition ?? {}))) continue;
        expect(text).toMatch(/"Ref"|Fn::GetAtt|Fn::ImportValue|task-definition\/skiff-|task\/skiff-|:repository\/\*/);
      }
    }
  });

  test("every function has its own role, far below the limit of inline policies", () => {
    const roles = resources(large, "AWS::Lambda::Function").map(
      ({ Properties }) => Properties["Role"]["Fn::GetAtt"][0],
    );
    expect(new Set(roles).size).toBe(functionNames.length);
    for (const { Properties, id } of resources(large, "AWS::IAM::Role")) {
      const bytes = JSON.stringify(Properties["Policies"] ?? []).length;
      expect(bytes, id).toBeLessThan(10_240);
    }
    // Statements that other resources' policies add to a role count as well.
    for (const { Properties, id } of resources(large, "AWS::IAM::Policy")) {
      expect(JSON.stringify(Properties["PolicyDocument"]).length, id).toBeLessThan(10_240);
    }
  });

  test("load balancers, their security groups and instances are changed only if tags mark them as the cluster's", () => {
    const own = statements(large) as (Any & { of: string })[];
    const changes = own.filter(({ Action, Effect }) =>
      list<string>(Action).some(
        (action) => /^(ec2|elasticloadbalancing):(?!Describe)/.test(action) && Effect === "Allow",
      ),
    );
    expect(changes.length).toBeGreaterThan(7);
    for (const { Action, Resource, Condition = {}, of } of changes) {
      expect(of).toMatch(/^ReconcileRole/);
      const text = JSON.stringify(Resource);
      if (!text.includes("*")) continue;
      expect(JSON.stringify(Condition), list<string>(Action).join()).toMatch(/Tag\/skiff:cluster|CreateAction/);
    }
  });

  test("a creator of load balancers has the further permissions that ELB requires of it", () => {
    const own = statements(large).filter(({ of }) => of.startsWith("ReconcileRole"));
    const [looks] = own.filter(({ Action }) => list(Action).includes("ec2:GetSecurityGroupsForVpc"));
    expect(JSON.stringify(looks?.Resource)).toMatch(/:vpc\//);
    const all = own.flatMap(({ Action }) => list(Action));
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-permissions.html
    expect(all).toEqual(
      expect.arrayContaining([
        ...["ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeInstances"],
        ...["ec2:DescribeInternetGateways", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"],
        "iam:CreateServiceLinkedRole",
      ]),
    );
  });

  test("a function that posts to connections may also disconnect them", () => {
    const pushes = statements(large).filter(({ Action }) => list(Action).includes("execute-api:ManageConnections"));
    expect(pushes.map(({ of }) => of.replace(/Role.*/, "")).sort()).toEqual(["Api", "Link", "Stream"]);
    for (const { Resource } of pushes) {
      const methods = list(Resource).map((one) => /\/link\/(\w+)\/@connections\/\*/.exec(JSON.stringify(one))?.[1]);
      expect(methods.sort()).toEqual(["DELETE", "POST"]);
    }
  });

  test("routes are written only to named tables, and to none of an adopted VPC by default", async () => {
    const id = "vpc-0123456789abcdef0";
    const subnets = ["subnet-0123456789abcdef0"];
    const writes = (made: Synthesized) =>
      statements(made).filter(({ Action }) => list(Action).includes("ec2:CreateRoute"));
    expect(writes(large).map(({ Resource }) => JSON.stringify(Resource).includes("*"))).toEqual([false]);
    expect(writes(await synthesize({ ...least, vpc: { id, subnets } }))).toEqual([]);
    const routeTables = ["rtb-0123456789abcdef0", "rtb-0123456789abcdef1"];
    const [own] = writes(await synthesize({ ...least, vpc: { id, subnets, routeTables } }));
    expect(list(own?.Resource).map((one) => JSON.stringify(one).match(/rtb-\w+/)?.[0])).toEqual(routeTables);
  });

  test("instances may pull the images that tasks may: all of this account and region", () => {
    const pulls = (role: string) =>
      statements(large)
        .filter(({ of }) => of.startsWith(role))
        .flatMap(({ Action, Resource }) => list(Action).map((action) => `${action} ${JSON.stringify(Resource)}`))
        .filter((one) => one.startsWith("ecr:"))
        .sort();
    expect(pulls("NodePolicy")).toEqual([
      expect.stringMatching(/^ecr:BatchCheckLayerAvailability .*:repository\/\*/),
      expect.stringMatching(/^ecr:BatchGetImage .*:repository\/\*/),
      'ecr:GetAuthorizationToken "*"',
      expect.stringMatching(/^ecr:GetDownloadUrlForLayer .*:repository\/\*/),
    ]);
    expect(pulls("NodePolicy")).toEqual(pulls("TaskExecutionRole"));
  });

  test("only EC2 is a node", () => {
    const [node] = resources(large, "AWS::IAM::Role").filter(({ id }) => id.startsWith("NodeRole"));
    const trust = node?.Properties["AssumeRolePolicyDocument"].Statement[0];
    expect(node?.Properties["AssumeRolePolicyDocument"].Statement).toHaveLength(1);
    expect(trust.Principal).toEqual({ Service: "ec2.amazonaws.com" });
    const api = resources(large, "AWS::Lambda::Function").find(({ id }) => id.startsWith("Api"));
    const variable = api?.Properties["Environment"].Variables.SKIFF_NODE_ROLES;
    expect(variable).toEqual({ "Fn::GetAtt": [node?.id, "Arn"] });
  });

  test("services assume roles for this account only, if they send a source account", () => {
    const services = { "aws:SourceAccount": new Set<string>(), undefined: new Set<string>() };
    for (const { Properties } of resources(large, "AWS::IAM::Role")) {
      for (const { Principal, Condition } of Properties["AssumeRolePolicyDocument"].Statement as Any[]) {
        const key = Object.keys(Condition?.StringEquals ?? {})[0] as keyof typeof services;
        services[key ?? "undefined"].add(Principal.Service);
      }
    }
    expect([...services["aws:SourceAccount"]].sort()).toEqual([
      "ecs-tasks.amazonaws.com",
      "scheduler.amazonaws.com",
      "states.amazonaws.com",
    ]);
    // ECS sends no source account when it starts a task; API Gateway has one role for all of an account's logs.
    const others = ["apigateway", "ec2", "ecs-tasks", "lambda"].map((name) => `${name}.amazonaws.com`);
    expect([...services.undefined].sort()).toEqual(others);
  });

  test("two documents are public, and nothing else", () => {
    const open = resources(large, "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy").flatMap(
      ({ Properties }) =>
        (Properties["PolicyDocument"].Statement as Any[]).filter(
          ({ Effect, Principal, Condition }) =>
            Effect === "Allow" && JSON.stringify(Principal).includes('"*"') && Condition === undefined,
        ),
    );
    expect(open).toHaveLength(1);
    expect(open[0].Action).toBe("s3:GetObject");
    const keys = open[0].Resource.map((one: Any) => one["Fn::Join"][1].at(-1));
    expect(keys).toEqual(["/.well-known/openid-configuration", "/openid/v1/jwks"]);
  });

  test("a private issuer is not public", async () => {
    const made = await synthesize({ ...least, publicIssuer: false, alarms: { enabled: false } });
    const [bucket] = resources(made, "AWS::S3::Bucket");
    expect(Object.values(bucket?.Properties["PublicAccessBlockConfiguration"])).toEqual([true, true, true, true]);
    expect(JSON.stringify(resources(made, "AWS::S3::BucketPolicy"))).not.toContain("openid");
  });

  test("every caller of a function is named", () => {
    for (const { Properties, id } of resources(large, "AWS::Lambda::Permission")) {
      expect(Properties["SourceArn"], id).toBeDefined();
    }
    const forApi = resources(large, "AWS::Lambda::Permission").filter(({ Properties }) =>
      JSON.stringify(Properties["SourceArn"]).includes('"Rest'),
    );
    expect(forApi).toHaveLength(1);
  });
});
