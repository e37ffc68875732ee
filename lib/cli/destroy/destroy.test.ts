import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answers, type Aws, AwsError, startAws } from "#cli/doctor/testing";
import { type DestroyOptions, destroy, planOf } from "./index.ts";

const parts = ["storage", "api", "nodes", "controllers", "gateway"];
const stacks = parts.map((part) => `skiff-demo-${part}`);
const stream = "arn:aws:dynamodb:eu-west-1:1:table/changes/stream/1";
const policy = (held: boolean) => ({
  DeletionPolicy: held ? "Retain" : "Delete",
  Properties: { DeletionProtectionEnabled: held },
});
const template = (held: boolean) =>
  JSON.stringify({ Resources: { Objects: { Type: "AWS::DynamoDB::Table", ...policy(held) } } });
const xml = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const resource = (id: string, type: string, name: string) =>
  `<member><LogicalResourceId>${id}</LogicalResourceId><ResourceType>${type}</ResourceType>` +
  `<PhysicalResourceId>${name}</PhysicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>`;

const balancer = (name: string) =>
  `<member><LoadBalancerArn>arn:${name}</LoadBalancerArn><LoadBalancerName>${name}</LoadBalancerName></member>`;
const tag = (key: string, value: string) => `<member><Key>${key}</Key><Value>${value}</Value></member>`;

/** An account with the cluster. Every change is recorded in `events`. */
function account(events: string[], kept: boolean): Answers {
  const tasks = ["arn:task/1", "arn:task/2"];
  return {
    DescribeStacks: ({ StackName = "" }) =>
      `<Stacks><member><StackName>${StackName}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>` +
      "<StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks>",
    DescribeStackResources: ({ StackName }) => {
      const storage = [
        resource("Objects1", "AWS::DynamoDB::Table", "objects"),
        resource("Changes1", "AWS::DynamoDB::Table", "changes"),
        resource("Issuer1", "AWS::S3::Bucket", "issuer"),
        resource("SigningSecret1", "AWS::SecretsManager::Secret", "signing"),
        resource("PodLogs1", "AWS::Logs::LogGroup", "pods"),
      ];
      const nodes = [resource("Ecs", "AWS::ECS::Cluster", "skiff-demo")];
      const all = StackName === "skiff-demo-storage" ? storage : nodes;
      return `<StackResources>${all.join("")}</StackResources>`;
    },
    GetTemplate: () => `<TemplateBody>${xml(template(kept))}</TemplateBody>`,
    DescribeTable: (input) => ({
      Table: input["TableName"] === "changes" ? { TableName: "changes", LatestStreamArn: stream } : {},
    }),
    DescribeLoadBalancers: () => `<LoadBalancers>${balancer("gateway")}${balancer("others")}</LoadBalancers>`,
    DescribeTags: () =>
      `<TagDescriptions><member><ResourceArn>arn:gateway</ResourceArn><Tags>${tag("skiff:cluster", "demo")}</Tags>` +
      `</member><member><ResourceArn>arn:others</ResourceArn><Tags>${tag("skiff:cluster", "other")}` +
      `${tag("skiff:balancer", "1")}</Tags></member></TagDescriptions>`,
    ListTasks: () => ({ taskArns: tasks }),
    StopTask: ({ task }) => {
      events.push(`stop ${task}`);
      return {};
    },
    DescribeTasks: () => ({ tasks: [{ taskArn: tasks[0], lastStatus: "STOPPED" }] }),
    ListObjectsV2: ({ Bucket }) =>
      `<ListBucketResult><Name>${Bucket}</Name><Contents><Key>openid/v1/jwks</Key></Contents></ListBucketResult>`,
    DeleteObjects: ({ Bucket = "", body = "" }) => {
      events.push(`empty ${Bucket.replace("/", "")} of ${/<Key>(.*)<\/Key>/.exec(body)?.[1]}`);
      return "<DeleteResult></DeleteResult>";
    },
  };
}

let aws: Aws;
let events: string[];
beforeEach(async () => {
  events = [];
  aws = await startAws(account(events, true));
});
afterEach(() => aws.stop());

/** CDK's command: synthesis writes an assembly, every other call is recorded. */
const cdk = async (args: readonly string[]): Promise<void> => {
  const assembly = args[args.indexOf("--output") + 1]!;
  if (args[0] !== "synth") return void events.push(args.filter((word) => !word.includes("/")).join(" "));
  events.push(args.filter((word) => word.startsWith("data=") || word.startsWith("config=")).join(" "));
  mkdirSync(assembly);
  const one = {
    type: "aws:cloudformation:stack",
    environment: "aws://unknown-account/eu-west-1",
    properties: { tags: { "skiff:cluster": "demo" } },
  };
  const artifacts = Object.fromEntries(stacks.map((name) => [name, one]));
  writeFileSync(join(assembly, "manifest.json"), JSON.stringify({ artifacts }));
};

async function run(options: DestroyOptions): Promise<string> {
  let said = "";
  const out = {
    write: (text: string) => {
      said += text;
    },
  };
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  expect(await destroy(options, out, { endpoint: aws.endpoint, forcePathStyle: true, credentials, cdk })).toBe(0);
  return said;
}

describe("with its data", () => {
  test("changes the policy first, then removes the workers, then what they created, then the rest", async () => {
    const said = await run({ data: "delete", yes: true });
    expect(events).toEqual([
      "data=delete",
      "deploy skiff-demo-storage skiff-demo-api --exclusively --require-approval never --app",
      "destroy skiff-demo-gateway skiff-demo-controllers --force --app",
      "stop arn:task/1",
      "stop arn:task/2",
      "empty issuer of openid/v1/jwks",
      "destroy --all --force --app",
    ]);
    expect(said).toContain("Deleted with the stacks, permanently:\n  table objects\n  table changes\n  secret signing");
  });

  test("deploys nothing when the deployed stacks have the policy already", async () => {
    Object.assign(aws.answers, { GetTemplate: () => `<TemplateBody>${xml(template(false))}</TemplateBody>` });
    await run({ data: "delete", yes: true });
    expect(events.filter((event) => event.startsWith("deploy"))).toEqual([]);
  });

  test("only prints the plan without --yes", async () => {
    const said = await run({ data: "delete", yes: false, config: "other.json" });
    expect(events).toEqual(["data=delete config=other.json"]);
    expect(said).toContain("cdk deploy skiff-demo-storage skiff-demo-api --exclusively");
    expect(said).toContain("empty the bucket issuer");
    expect(said).toMatch(/Nothing was changed: --yes removes the cluster\.\n$/);
  });
});

describe("without its data", () => {
  test("changes nothing, and prints how to continue", async () => {
    const said = await run({ data: "keep", yes: true });
    expect(events.filter((event) => /^(?:deploy|empty)/.test(event))).toEqual([]);
    expect(said).toContain("Kept:\n  table objects\n  table changes\n  secret signing\n  bucket issuer\n");
    expect(said).toContain(`"restored": {"objects":"objects","changes":"changes","stream":"${stream}"}`);
  });

  test("first updates stacks that would delete it", async () => {
    Object.assign(aws.answers, { GetTemplate: () => `<TemplateBody>${xml(template(false))}</TemplateBody>` });
    await run({ data: "keep", yes: true });
    expect(events[1]).toMatch(/^deploy skiff-demo-storage/);
  });
});

test("load balancers of services are the cluster's to remove", async () => {
  const tags = tag("skiff:cluster", "demo") + tag("skiff:balancer", "1");
  aws.answers["DescribeTags"] = () =>
    `<TagDescriptions><member><ResourceArn>arn:others</ResourceArn><Tags>${tags}</Tags></member></TagDescriptions>`;
  await expect(run({ data: "delete", yes: true })).rejects.toThrow(
    "load balancers of services still exist (others): delete the services first",
  );
  expect(events).toEqual(["data=delete"]);
});

test("does nothing without a stack", async () => {
  aws.answers["DescribeStacks"] = ({ StackName }) => {
    throw new AwsError("ValidationError", `Stack with id ${StackName} does not exist`);
  };
  expect(await run({ data: "delete", yes: true })).toBe("There is no stack of demo in eu-west-1.\n");
});

test("continues after a failure", () => {
  const left = planOf("delete", { cluster: "demo", stacks: ["skiff-demo-storage"], policy: "delete" }, "a");
  expect(left).toMatchObject([{ kind: "cdk", args: ["destroy", "--all", "--force", "--app", "a"] }]);
  const nodes = planOf(
    "delete",
    { cluster: "demo", stacks: stacks.slice(0, 3), policy: "mixed", ecsCluster: "c" },
    "a",
  );
  expect(nodes.map(({ kind }) => kind)).toEqual(["cdk", "stop-tasks", "cdk"]);
});
