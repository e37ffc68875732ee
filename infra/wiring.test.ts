import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { functionNames, functions } from "./functions.ts";
import { least, type Synthesized, synthesize } from "./testing/index.ts";
import { readWiring, type Wiring } from "./wiring.ts";

let made: Synthesized;
let wiring: Wiring;
const place = { account: "123456789012", region: "eu-west-1" };

beforeAll(async () => {
  made = await synthesize({ ...least, cluster: "my-demo" });
  wiring = readWiring(made.templates, place);
}, 120_000);

const named = (name: string) => wiring.functions.find((one) => one.name === name)!;
const queueOf = (id: string) => wiring.queues.find(({ name }) => name.includes(`-${id}`) && !name.includes("Dead"))!;

test("no reference is left unresolved", () => {
  expect(JSON.stringify(wiring)).not.toMatch(/"(Ref|Fn::\w+)":/);
});

test("each function has its code beside the templates, and the environment of its row", () => {
  expect(wiring.functions.map(({ name }) => name).sort()).toEqual([...functionNames].sort());
  for (const one of wiring.functions) {
    expect(existsSync(join(made.folder, one.code, "index.mjs")), one.name).toBe(true);
    expect(one.handler).toBe("index.handler");
    expect(Object.keys(one.environment).sort()).toEqual([...functions[one.name as "api"].environment].sort());
    expect(Object.values(one.environment).every((value) => typeof value === "string" && value !== "")).toBe(true);
  }
});

test("the functions' environments match", () => {
  const { environment } = named("reconcile");
  expect(environment["SKIFF_CLUSTER_ID"]).toBe("123456789012/eu-west-1/my-demo");
  expect(wiring.tables.map(({ name }) => name)).toContain(environment["SKIFF_CHANGES_TABLE"]);
  expect(environment["SKIFF_RECONCILE_QUEUE_URL"]).toBe(queueOf("Reconcile").url);
  expect(wiring.stateMachines[0]?.arn).toBe(environment["SKIFF_WAIT_ARN"]);
  const { id, stage } = wiring.rest!;
  expect(environment["SKIFF_ENDPOINT"]).toBe(`https://${id}.execute-api.eu-west-1.amazonaws.com/${stage}`);
  const link = wiring.webSocket!;
  expect(named("stream").environment["SKIFF_LINK_URL"]).toBe(
    `https://${link.id}.execute-api.eu-west-1.amazonaws.com/${link.stage}`,
  );
  const dead = wiring.queues.find(
    ({ url }) => url === named("tick").environment["SKIFF_RECONCILE_DEAD_LETTER_QUEUE_URL"],
  );
  expect(dead?.arn).toBe(queueOf("Reconcile").deadLetters?.arn);
  expect(named("bootstrap").environment["SKIFF_ISSUER"]).toBe(
    `https://${wiring.buckets[0]?.name}.s3.eu-west-1.amazonaws.com`,
  );
});

test("the tables match the store's driver", () => {
  const changes = wiring.tables.find(({ stream }) => stream)!;
  expect(changes).toMatchObject({
    partitionKey: { name: "p", type: "S" },
    sortKey: { name: "r", type: "N" },
    timeToLive: "e",
    stream: { view: "NEW_IMAGE" },
  });
});

test("event source mappings", () => {
  const reads = Object.fromEntries(wiring.mappings.map((one) => [one.function, one]));
  expect(Object.keys(reads).sort()).toEqual(["fargate", "reconcile", "schedule", "stream"]);
  expect(reads["stream"]).toMatchObject({
    source: { kind: "stream", name: named("api").environment["SKIFF_CHANGES_TABLE"] },
    batchSize: 100,
    retries: 10,
    maximumAge: 3600,
    bisect: true,
    startingPosition: "TRIM_HORIZON",
    filters: [{ eventName: ["INSERT"], dynamodb: { NewImage: { w: { N: [{ exists: true }] } } } }],
  });
  expect(wiring.queues.map(({ arn }) => arn)).toContain(reads["stream"]?.onFailure);
  expect(reads["reconcile"]).toMatchObject({ batchSize: 10, partialFailures: true, maximumConcurrency: 10 });
  expect(reads["schedule"]).toMatchObject({ partialFailures: true, maximumConcurrency: 2 });
  expect(reads["schedule"]?.source.arn).toBe(queueOf("Schedule").arn);
});

test("one function answers every path, streamed; /iam by IAM alone", () => {
  const routes = wiring.rest!.routes.map(({ path, method, authorization }) => `${authorization} ${method} ${path}`);
  expect(routes.sort()).toEqual(["AWS_IAM ANY /iam", "AWS_IAM ANY /iam/{proxy+}", "NONE ANY /", "NONE ANY /{proxy+}"]);
  expect(new Set(wiring.rest!.routes.map((route) => route.function))).toEqual(new Set(["api"]));
  expect(wiring.rest!.routes.every(({ transferMode }) => transferMode === "STREAM")).toBe(true);
  expect(wiring.rest!.binaryMediaTypes).toEqual(["*/*"]);
});

test("agents connect with IAM's authorization", () => {
  expect(wiring.webSocket!.routes).toEqual([
    { key: "$connect", authorization: "AWS_IAM", function: "link" },
    { key: "$disconnect", authorization: "NONE", function: "link" },
    { key: "$default", authorization: "NONE", function: "link" },
  ]);
});

test("the clock, the events and the birth", () => {
  expect(wiring.schedules).toMatchObject([{ expression: "rate(1 minute)", function: "tick", retries: 1 }]);
  expect(wiring.schedules[0]?.deadLetters).toBe(named("tick").deadLetters);
  const rules = wiring.rules.map((rule) => `${rule.function}: ${(rule.pattern["detail-type"] as string[])[0]}`);
  expect(rules.sort()).toEqual([
    "fargate: ECS Task State Change",
    "link: EC2 Instance State-change Notification",
    "link: EC2 Spot Instance Interruption Warning",
    "tick: CloudWatch Alarm State Change",
  ]);
  const ecs = wiring.rules.find((rule) => rule.function === "fargate");
  expect(ecs?.pattern["detail"]).toEqual({ clusterArn: ["arn:aws:ecs:eu-west-1:123456789012:cluster/skiff-my-demo"] });
  expect(wiring.deployments).toMatchObject([
    { function: "bootstrap", type: "Custom::SkiffBootstrap", properties: { serviceCidr: "10.96.0.0/16" } },
  ]);
});

test("attributes can be overridden", () => {
  const elsewhere = readWiring(made.templates, {
    ...place,
    override: ({ type, logicalId }, attribute) =>
      type === "AWS::SQS::Queue" && attribute === "Ref" ? `http://127.0.0.1:9324/${logicalId}` : undefined,
  });
  const url = elsewhere.functions.find(({ name }) => name === "api")?.environment["SKIFF_RECONCILE_QUEUE_URL"];
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:9324\/Reconcile/);
});

test("names what it cannot read", () => {
  const template = { Resources: { A: { Type: "AWS::SQS::Queue", Properties: { QueueName: { Ref: "B" } } } } };
  expect(() => readWiring({ s: template }, place)).toThrow("s: there is no resource B");
});
