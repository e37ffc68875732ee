import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { doctor } from "./index.ts";
import { type Answers, type Aws, AwsError, startAws } from "./testing/index.ts";

const account = "123456789012";
const none = (what: string): never => {
  throw new AwsError(what === "stack" ? "ValidationError" : "ResourceNotFoundException", `${what} does not exist`, 400);
};
const stack = (name: string, more = "", tags = "") =>
  `<Stacks><member><StackName>${name}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>` +
  `<StackStatus>CREATE_COMPLETE</StackStatus>${more}<Tags>${tags}</Tags></member></Stacks>`;
const toolkit = (version: number) =>
  stack(
    "CDKToolkit",
    `<Outputs><member><OutputKey>BootstrapVersion</OutputKey><OutputValue>${version}</OutputValue></member></Outputs>`,
  );

/** An account that passes every check, without a cluster. */
const sound = (): Answers => ({
  GetCallerIdentity: () => `<Account>${account}</Account><Arn>arn:aws:iam::${account}:user/a</Arn><UserId>A</UserId>`,
  GetAccountSettings: () => ({ AccountLimit: { ConcurrentExecutions: 1000, UnreservedConcurrentExecutions: 1000 } }),
  GetAccount: () => ({}),
  DescribeStacks: ({ StackName }) => (StackName === "CDKToolkit" ? toolkit(21) : none("stack")),
  GetFunctionConfiguration: () => none("function"),
  DescribeLogGroups: () => ({ logGroups: [] }),
  DescribeClusters: () => ({ clusters: [] }),
  DescribeInstanceTypes: () =>
    ["t4g.small", "m7g.xlarge"]
      .map(
        (type, at) =>
          `<item><instanceType>${type}</instanceType><vCpuInfo><defaultVCpus>${at * 2 + 2}</defaultVCpus></vCpuInfo></item>`,
      )
      .join("")
      .replace(/^.*$/, (items) => `<instanceTypeSet>${items}</instanceTypeSet>`),
  GetServiceQuota: () => ({ Quota: { Value: 64 } }),
  GetPublicAccessBlock: () => {
    throw new AwsError("NoSuchPublicAccessBlockConfiguration", "there is none", 404);
  },
  GetPolicy: ({ PolicyArn }) => `<Policy><Arn>${PolicyArn}</Arn></Policy>`,
});

/** The used parts of an assembly. */
const resources = {
  Api: { Type: "AWS::Lambda::Function", Properties: { FunctionName: "skiff-demo-api" } },
  Tick: { Type: "AWS::Lambda::Function", Properties: { FunctionName: "skiff-demo-tick" } },
  Reconcile: { Type: "AWS::Lambda::EventSourceMapping", Properties: { ScalingConfig: { MaximumConcurrency: 12 } } },
  FargateFromQueue: {
    Type: "AWS::Lambda::EventSourceMapping",
    Properties: { ScalingConfig: { MaximumConcurrency: 50 }, Enabled: false },
  },
  Wait: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "/aws/vendedlogs/states/skiff-demo-wait" } },
  Ecs: { Type: "AWS::ECS::Cluster", Properties: { ClusterName: "skiff-demo" } },
  Account: { Type: "AWS::ApiGateway::Account", Properties: {} },
  Role: { Type: "AWS::IAM::Role", Properties: { PermissionsBoundary: `arn:aws:iam::${account}:policy/boundary` } },
  Issuer: { Type: "AWS::S3::Bucket", Properties: { PublicAccessBlockConfiguration: { BlockPublicPolicy: false } } },
  Task: { Type: "AWS::ECS::TaskDefinition", Properties: { Cpu: "256" } },
  Gateway: { Type: "AWS::ECS::Service", Properties: { LaunchType: "FARGATE", TaskDefinition: { Ref: "Task" } } },
  Group: {
    Type: "AWS::AutoScaling::AutoScalingGroup",
    Properties: {
      MaxSize: "3",
      Tags: [{ Key: "Name", Value: "skiff-demo-arm" }],
      MixedInstancesPolicy: {
        LaunchTemplate: { Overrides: [{ InstanceType: "t4g.small" }, { InstanceType: "m7g.xlarge" }] },
        InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 100 },
      },
    },
  },
};

let aws: Aws;
let templates: string;
beforeEach(async () => {
  aws = await startAws(sound());
  templates = mkdtempSync(join(tmpdir(), "skiff-doctor-"));
  assemble();
});
afterEach(async () => {
  rmSync(templates, { recursive: true, force: true });
  await aws.stop();
});

function assemble({
  environment = `aws://${account}/eu-west-1`,
  more = {},
}: {
  environment?: string;
  more?: object;
} = {}) {
  const properties = {
    templateFile: "t.json",
    requiresBootstrapStackVersion: 6,
    tags: { "skiff:cluster": "demo" },
  };
  const artifacts = { "skiff-demo-api": { type: "aws:cloudformation:stack", environment, properties } };
  writeFileSync(join(templates, "manifest.json"), JSON.stringify({ artifacts }));
  writeFileSync(join(templates, "t.json"), JSON.stringify({ Resources: { ...resources, ...more } }));
}

const credentials = { accessKeyId: "a", secretAccessKey: "b" };
async function examine(): Promise<{ code: number; found: Record<string, string>; text: string }> {
  let text = "";
  const out = {
    write(more: string) {
      text += more;
    },
  };
  const code = await doctor({ templates, output: "json" }, out, { endpoint: aws.endpoint, credentials });
  const { checks } = JSON.parse(text) as { checks: { check: string; status: string; says: string; todo?: string }[] };
  const found = Object.fromEntries(
    checks.map(({ check, status, says, todo }) => [
      check,
      `${status}: ${says}${todo === undefined ? "" : ` -> ${todo}`}`,
    ]),
  );
  return { code, found, text };
}

test("an account that passes every check", async () => {
  expect(await examine()).toMatchObject({
    code: 0,
    found: {
      account: "ok: 123456789012 in eu-west-1",
      "CDK bootstrap": "ok: version 21, 6 needed",
      names: "ok: none is taken",
      "Lambda concurrency": "ok: 1000 unreserved, 24 needed",
      "API Gateway's logging role": "ok: the deployment brings it",
      "response streaming": "ok: API Gateway streams in eu-west-1",
      "EC2 vCPU": "ok: 64 standard vCPU in the account, 12 when all groups are at their maximum",
      "Fargate vCPU": "ok: 64 in the account: 0.25 for services",
      "S3 block public access": "ok: the account allows public buckets",
      "permissions boundary": `ok: arn:aws:iam::${account}:policy/boundary`,
    },
  });
});

test("prints one line for each check", async () => {
  aws.answers["DescribeStacks"] = () => none("stack");
  const lines: string[] = [];
  const out = { write: (line: string) => lines.push(line) };
  const code = await doctor({ templates, output: "text" }, out, { endpoint: aws.endpoint, credentials });
  expect(code).toBe(1);
  expect(lines).toHaveLength(10);
  expect(lines).toContain(
    "FAILED   CDK bootstrap: there is no stack CDKToolkit in eu-west-1 -> " +
      `run \`npx cdk bootstrap aws://${account}/eu-west-1\`\n`,
  );
});

/** The difference, the check that detects it, its message, and the exit code. */
const differing: [string, Answers, string, RegExp, number][] = [
  [
    "another account",
    { GetCallerIdentity: () => "<Account>999999999999</Account>" },
    "account",
    /^failed: the credentials are for 999999999999, and the configuration is for 123456789012/,
    1,
  ],
  [
    "an old bootstrap",
    { DescribeStacks: ({ StackName }) => (StackName === "CDKToolkit" ? toolkit(5) : none("stack")) },
    "CDK bootstrap",
    /^failed: version 5, 6 needed -> run `npx cdk bootstrap/,
    1,
  ],
  [
    "a bootstrap that has failed",
    { DescribeStacks: () => toolkit(21).replace("CREATE_COMPLETE", "ROLLBACK_COMPLETE") },
    "CDK bootstrap",
    /^failed: the stack CDKToolkit is ROLLBACK_COMPLETE -> remove it, then run `npx cdk bootstrap/,
    1,
  ],
  [
    "a quota of a new account",
    { GetAccountSettings: () => ({ AccountLimit: { UnreservedConcurrentExecutions: 10 } }) },
    "Lambda concurrency",
    /^warning: 10 unreserved, 24 needed -> ask Service Quotas/,
    0,
  ],
  [
    "everything reserved by others",
    { GetAccountSettings: () => ({ AccountLimit: { UnreservedConcurrentExecutions: 1 } }) },
    "Lambda concurrency",
    /^failed: 1 unreserved/,
    1,
  ],
  [
    "a logging role of another owner",
    { GetAccount: () => ({ cloudwatchRoleArn: "arn:aws:iam::1:role/logs" }) },
    "API Gateway's logging role",
    /^warning: the account's is arn:aws:iam::1:role\/logs/,
    0,
  ],
  [
    "a logging role of ours",
    { GetAccount: () => ({ cloudwatchRoleArn: "arn:aws:iam::1:role/skiff-other-api-RestCloudWatchRole" }) },
    "API Gateway's logging role",
    /^ok/,
    0,
  ],
  [
    "few vCPU",
    { GetServiceQuota: () => ({ Quota: { Value: 5 } }) },
    "EC2 vCPU",
    /^warning: 5 standard vCPU in the account, 12 when .*L-1216C47A/,
    0,
  ],
  [
    "a quota that was never changed",
    {
      GetServiceQuota: () => {
        throw new AwsError("NoSuchResourceException");
      },
      GetAWSDefaultServiceQuota: () => ({ Quota: { Value: 0 } }),
    },
    "Fargate vCPU",
    /^failed: 0 in the account: 0.25 for services -> ask .*L-3032A538/,
    1,
  ],
  [
    "a type that the region has not",
    { DescribeInstanceTypes: () => "<instanceTypeSet/>" },
    "EC2 vCPU",
    /^failed: skiff-demo-arm: there is no t4g.small, m7g.xlarge in this region/,
    1,
  ],
  [
    "no such policy",
    {
      GetPolicy: () => {
        throw new AwsError("NoSuchEntity", "no", 404);
      },
    },
    "permissions boundary",
    /^failed: there is no policy arn:aws:iam::123456789012:policy\/boundary/,
    1,
  ],
  [
    "the cluster itself",
    {
      DescribeStacks: ({ StackName = "" }) =>
        StackName === "CDKToolkit"
          ? toolkit(21)
          : stack(StackName, "", "<member><Key>skiff:cluster</Key><Value>demo</Value></member>"),
      GetFunctionConfiguration: () => ({ FunctionName: "skiff-demo-api" }),
    },
    "names",
    /^ok: demo is deployed already/,
    0,
  ],
  [
    "a stack of another owner",
    { DescribeStacks: ({ StackName = "" }) => (StackName === "CDKToolkit" ? toolkit(21) : stack(StackName)) },
    "names",
    /^failed: the stack skiff-demo-api exists and is not this cluster's/,
    1,
  ],
  [
    "a function without a stack",
    {
      GetFunctionConfiguration: ({ FunctionName = "" }) =>
        FunctionName.endsWith("tick") ? { FunctionName } : none("function"),
    },
    "names",
    /^failed: the function skiff-demo-tick exists and belongs to no stack/,
    1,
  ],
  [
    "a log group without a stack",
    { DescribeLogGroups: ({ logGroupNamePrefix }) => ({ logGroups: [{ logGroupName: logGroupNamePrefix }] }) },
    "names",
    /^failed: the log group \/aws\/vendedlogs\/states\/skiff-demo-wait exists/,
    1,
  ],
  [
    "an ECS cluster without a stack",
    { DescribeClusters: () => ({ clusters: [{ clusterName: "skiff-demo", status: "ACTIVE" }] }) },
    "names",
    /^failed: the ECS cluster skiff-demo exists/,
    1,
  ],
];

test.each(differing)("%s", async (_name, answers, check, says, code) => {
  Object.assign(aws.answers, answers);
  const examined = await examine();
  expect(examined.found[check]).toMatch(says);
  expect(examined.code).toBe(code);
});

describe("the deployment", () => {
  test("to no account by name, in an unknown region", async () => {
    assemble({ environment: "aws://unknown-account/xx-new-1" });
    const { found, code } = await examine();
    expect(found["account"]).toBe("ok: 123456789012 in xx-new-1; the configuration names none");
    expect(found["response streaming"]).toMatch(/^unknown: whether API Gateway streams in xx-new-1/);
    expect(code).toBe(0);
  });

  test("without nodes, services and boundary", async () => {
    const absent = { Type: "AWS::SNS::Topic" };
    assemble({ more: { Group: absent, Gateway: absent, Role: absent, Account: absent } });
    const { found, code } = await examine();
    expect(found).toMatchObject({
      "EC2 vCPU": "ok: there are no groups of nodes",
      "Fargate vCPU": "ok: nothing runs on Fargate",
      "permissions boundary": "ok: none is configured",
    });
    expect(found["API Gateway's logging role"]).toMatch(/^failed: the account has none/);
    expect(code).toBe(1);
  });
});

describe("denied requests", () => {
  const actions: [string, string, string][] = [
    ["GetAccountSettings", "Lambda concurrency", "lambda:GetAccountSettings"],
    ["GetAccount", "API Gateway's logging role", "apigateway:GET"],
    ["DescribeStacks", "CDK bootstrap", "cloudformation:DescribeStacks"],
    ["DescribeInstanceTypes", "EC2 vCPU", "ec2:DescribeInstanceTypes"],
    ["GetServiceQuota", "Fargate vCPU", "servicequotas:GetServiceQuota"],
    ["GetPolicy", "permissions boundary", "iam:GetPolicy"],
    ["DescribeClusters", "names", "ecs:DescribeClusters"],
  ];
  test.each(actions)("%s", async (action, check, named) => {
    const name = action === "DescribeInstanceTypes" ? "UnauthorizedOperation" : "AccessDeniedException";
    aws.answers[action] = () => {
      throw new AwsError(name, `User: u is not authorized to perform: ${named} on resource: *`, 403);
    };
    const { found, code } = await examine();
    expect(found[check]).toBe(`unknown: not allowed to ask (${named})`);
    expect(code).toBe(0);
  });
});

describe("no request is possible", () => {
  const failing = (settings: object = {}) =>
    doctor({ templates, output: "text" }, { write: () => {} }, { endpoint: aws.endpoint, credentials, ...settings });

  test("with credentials that have run out", async () => {
    aws.answers["GetCallerIdentity"] = () => {
      throw new AwsError("ExpiredToken", "The security token included in the request is expired", 403);
    };
    await expect(failing()).rejects.toThrow("AWS does not take the credentials: The security token");
  });

  test("without a network", async () => {
    await expect(failing({ endpoint: "http://127.0.0.1:1" })).rejects.toThrow(/^AWS cannot be reached: /);
  });

  test("without an assembly", async () => {
    rmSync(join(templates, "manifest.json"));
    await expect(failing()).rejects.toThrow("has no cloud assembly: run `npm run synth` first");
  });
});

describe("S3 block public access", () => {
  const name = "S3 block public access";
  const setting = (policy: boolean, restrict: boolean) => (): string =>
    `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><BlockPublicPolicy>${policy}` +
    `</BlockPublicPolicy><RestrictPublicBuckets>${restrict}</RestrictPublicBuckets></PublicAccessBlockConfiguration>`;

  test("of the account blocks the issuer's documents and its policy", async () => {
    aws.answers["GetPublicAccessBlock"] = setting(true, true);
    const { code, found } = await examine();
    expect(code).toBe(1);
    expect(found[name]).toMatch(
      /^failed: the account has BlockPublicPolicy and RestrictPublicBuckets on.*publicIssuer/,
    );
    aws.answers["GetPublicAccessBlock"] = setting(false, false);
    expect((await examine()).found[name]).toBe("ok: the account allows public buckets");
  });

  test("is not read when nothing is public, and may be denied", async () => {
    aws.answers["GetPublicAccessBlock"] = () => {
      throw new AwsError("AccessDenied", "no", 403);
    };
    expect((await examine()).found[name]).toBe("unknown: not allowed to ask (s3:GetAccountPublicAccessBlock)");
    assemble({ more: { Issuer: { Type: "AWS::S3::Bucket", Properties: {} } } });
    expect((await examine()).found[name]).toBe("ok: the deployment has no public bucket");
  });
});
