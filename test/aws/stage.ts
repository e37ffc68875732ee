import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { App } from "aws-cdk-lib";
import { startFauxqs } from "fauxqs";
import { createAuthority, issue } from "#auth/certificates";
import { type AwsNetwork, awsNetwork, startFront as startQueries } from "#cloud/aws/testing";
import { bundle, cloud, parseConfig, readTemplates, readWiring, type Wiring } from "#infra";
import type { Sent } from "#reconcile/sqs";
import { tables } from "#store/dynamo";
import { dynoxidePath, emulator, startDynoxide, tableInput } from "#store/dynamo/testing";
import { type Buckets, startBuckets } from "./buckets.ts";
import { type Call, type Cloud, type Fault, startCloud } from "./cloud.ts";
import { type Ecs, ecsService } from "./ecs.ts";
import { passes } from "./filters.ts";
import { type Front, startFront } from "./front.ts";
import { type LogsService, logsService } from "./logs.ts";
import { calm, type Poller, pollQueue, pollStream, type Weather } from "./mappings.ts";
import { type LambdaFunction, lambdaFunction } from "./runtime.ts";
import { type Secrets, secretsService } from "./secrets.ts";
import { signedBy } from "./signatures.ts";
import { type SocketWeather, startSocket } from "./socket.ts";
import { startSts } from "./sts.ts";
import { type Definition, stepFunctions } from "./wait.ts";

const region = "eu-west-1";
const account = "123456789012";
export const administrator = `arn:aws:iam::${account}:role/Administrator`;

/** The bundles and the wiring of a cluster, built once for all stages of a run. */
export interface Built {
  /** The folder of all files. */
  folder: string;
  wiring: Wiring;
  /** Folder of the cloud assembly. */
  assembly: string;
  /** Bytes of each function's code. */
  sizes: Record<string, number>;
  /** Folder of the gateway's image. */
  gateway: string;
}

/** Bundles the functions and synthesizes the app as a deployment does, into a folder that is the caller's to remove. */
export async function build(): Promise<Built> {
  const output = mkdtempSync(join(tmpdir(), "skiff-aws-"));
  const root = resolve(import.meta.dirname, "../..");
  const bundles = await bundle({
    source: join(root, "functions"),
    agent: join(root, "agent/main.ts"),
    gateway: join(root, "lib/hosts/gateway/main.ts"),
    output: join(output, "bundles"),
  });
  const assembly = join(output, "cdk.out");
  const app = new App({ outdir: assembly, analyticsReporting: false });
  const config = parseConfig({ cluster: "test", region, account, administrator, fargate: true }, "the test");
  cloud(app, { config, bundles, version: "0.0.0" });
  app.synth();
  return {
    folder: output,
    wiring: readWiring(readTemplates(assembly), { account, region }),
    assembly,
    sizes: bundles.sizes,
    gateway: bundles.images.gateway,
  };
}

export interface StageOptions {
  built: Built;
  weather?: Weather;
  fault?: (call: Call) => Fault | undefined;
  /** Called with the consumed capacity of each DynamoDB call. */
  consumed?: (target: string, units: number) => void;
  /** Called with the lines of functions. */
  output?: (name: string, line: string) => void;
  /** The owner of an access key, with its secret, for STS and for signed requests; undefined refuses it. */
  whoIs?: (accessKey: string) => { arn: string; secret: string } | undefined;
  /** A prefix of each function's command. */
  wrap?: (deployed: { name: string; memory: number }) => readonly string[];
  /** The delivery of messages on the WebSocket API. */
  socketWeather?: SocketWeather;
  /** The most environments of each function. Defaults to no limit. */
  most?: number;
}

/** A cluster in AWS, without AWS. */
export interface Stage {
  url: string;
  /** `wss://…`: the agents' endpoint. */
  dial: string;
  /** Messages that were sent to agents so far. */
  readonly pushed: number;
  /** Connections to the WebSocket API that are open. */
  readonly connected: number;
  /** The authority of its certificate, in PEM. */
  ca: string;
  clusterId: string;
  /**
   * Calls the custom resources, as CloudFormation does at a deployment, and waits for their responses. Throws when one
   * failed.
   */
  deploy(type?: "Create" | "Delete", properties?: Record<string, string>): Promise<void>;
  functions: ReadonlyMap<string, LambdaFunction>;
  cloud: Cloud;
  /** The stand-in for ECS; its events go to the functions whose rules match. */
  ecs: Ecs;
  /** The stand-in for load balancers, instances and routes; its calls by name, and faults. */
  network: AwsNetwork & { calls: Awaited<ReturnType<typeof startQueries>> };
  /** The stand-in for CloudWatch Logs. */
  logs: LogsService;
  /** The stand-in for Secrets Manager. */
  secrets: Secrets;
  /** The objects of the issuer's bucket, by key. */
  published(): Record<string, string>;
  /** Steps of the state machine so far. */
  readonly transitions: number;
  /** Plays EventBridge: an event for every rule that it fits. */
  event(event: Record<string, unknown>): Promise<void>;
  /** Sends to a queue whose URL is in this variable of a function, or returns the number of its messages. */
  queue(variable: string): { send(message: Sent): Promise<unknown>; count(): Promise<number> };
  /** Runs the clock's tick for a moment. Defaults to now. */
  tick(at?: Date): Promise<void>;
  /** ARNs of the instance roles. */
  readonly nodeRoles: string | undefined;
  /** Ends its servers and runtimes. */
  stop(): Promise<void>;
}

/** Opens a stage: every resource of the template has its stand-in, wired as in the template. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { built, weather = calm } = options;
  const { wiring, assembly } = built;
  const engine = await startDynoxide(dynoxidePath()!);
  const faux = await startFauxqs({ port: 0, logger: false });
  const queueServer = `http://127.0.0.1:${faux.port}`;
  const sqs = new SQSClient({ ...emulator(queueServer), region, useQueueUrlAsEndpoint: false });
  await makeTables(engine.endpoint, wiring);
  const urls = await makeQueues(sqs, wiring);
  const [machine] = wiring.stateMachines;
  const waits = stepFunctions({
    arn: machine!.arn,
    definition: machine!.definition as unknown as Definition,
    now: Date.now,
    until: (moment) => new Promise((done) => setTimeout(done, Math.max(0, moment - Date.now()))),
    integrate: (_resource, input) => sqs.send(new SendMessageCommand(input as never)),
    failed: (error) => options.output?.("wait", String(error)),
  });
  const functions = new Map<string, LambdaFunction>();
  const emit = async (event: Record<string, unknown>): Promise<void> => {
    for (const rule of wiring.rules.filter(({ pattern }) => passes(pattern, event)))
      await functions.get(rule.function)!.call(event);
  };
  const ofTasks = wiring.rules.find((rule) => rule.function === "fargate")!.pattern["detail"];
  const [cluster] = (ofTasks as { clusterArn: string[] }).clusterArn;
  const ecs = ecsService({ cluster: cluster!, families: `${cluster!.split("/").at(-1)}-`, emit });
  const logs = logsService(wiring.logGroups.map(({ name }) => name));
  const secrets = secretsService(environmentOf(wiring, "SKIFF_SIGNING_SECRET_ARN"));
  const buckets = await startBuckets();
  const network = awsNetwork({
    cluster: environmentOf(wiring, "SKIFF_CLUSTER"),
    vpc: environmentOf(wiring, "SKIFF_VPC"),
    subnets: environmentOf(wiring, "SKIFF_SUBNETS").split(","),
    routeTables: environmentOf(wiring, "SKIFF_ROUTE_TABLES").split(","),
    securityGroup: environmentOf(wiring, "SKIFF_BALANCER_SECURITY_GROUP"),
  });
  const calls = await startQueries({ handle: (body) => network.handle(body) });
  const cloudOf = await startCloud({
    servers: { DynamoDB_20120810: engine.endpoint, AmazonSQS: queueServer },
    services: {
      AWSStepFunctions: waits,
      AmazonEC2ContainerServiceV20141113: ecs.service,
      Logs_20140328: logs.service,
      secretsmanager: secrets.service,
    },
    ...(options.fault ? { fault: options.fault } : {}),
    ...(options.consumed ? { consumed: options.consumed } : {}),
  });
  const authority = await createAuthority(Date.now());
  const names = ["127.0.0.1", "localhost"];
  const tls = await issue({ authority, subject: { commonName: "front" }, names, days: 1, now: Date.now() });
  const folder = mkdtempSync(join(tmpdir(), "skiff-stage-"));
  const caFile = join(folder, "ca.crt");
  writeFileSync(caFile, authority.cert);
  const answers = await startAnswers(tls);
  const whoIs = options.whoIs ?? (() => undefined);
  const sts = await startSts(whoIs);
  const signer = signedBy(whoIs, region);
  const socket = await startSocket({
    ...{ routes: wiring.webSocket!.routes, stage: wiring.webSocket!.stage, signer, tls },
    functionNamed: (name) => functions.get(name)!,
    ...(options.socketWeather ? { weather: options.socketWeather } : {}),
  });
  urls.set(wiring.functions.find(({ name }) => name === "stream")!.environment["SKIFF_LINK_URL"]!, socket.manage);
  for (const one of wiring.functions) {
    const environment = Object.fromEntries(
      Object.entries(one.environment).map(([name, value]) => [name, urls.get(value) ?? value]),
    );
    const deployed = {
      ...one,
      code: join(assembly, one.code),
      environment: {
        ...environment,
        AWS_ENDPOINT_URL_STS: sts.url,
        AWS_ENDPOINT_URL_S3: buckets.url,
        AWS_ENDPOINT_URL_EC2: calls.url,
        AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2: calls.url,
        NODE_EXTRA_CA_CERTS: caFile,
      },
    };
    functions.set(
      one.name,
      lambdaFunction(deployed, {
        endpointFor: cloudOf.endpointFor,
        region,
        ...(options.output ? { output: options.output } : {}),
        ...(options.wrap ? { wrap: options.wrap } : {}),
        ...(options.most === undefined ? {} : { most: options.most }),
      }),
    );
  }
  const pollers = wiring.mappings.map((mapping): Poller => {
    const target = functions.get(mapping.function)!;
    const { batchSize, filters, partialFailures, maximumConcurrency } = mapping;
    if (mapping.source.kind === "stream")
      return pollStream({
        endpoint: engine.endpoint,
        table: mapping.source.name,
        function: target,
        batchSize,
        filters,
        weather,
      });
    const queue = wiring.queues.find(({ arn }) => arn === mapping.source.arn)!;
    const concurrency = Math.min(maximumConcurrency ?? 2, 2);
    const url = urls.get(queue.url)!;
    return pollQueue({ sqs, url, arn: queue.arn, function: target, batchSize, partialFailures, concurrency, weather });
  });
  const { rest } = wiring;
  const front: Front = await startFront({
    routes: rest!.routes.map(({ path, authorization, transferMode, function: name }) => ({
      resource: path,
      authorization,
      streamed: transferMode === "STREAM",
      function: functions.get(name)!,
    })),
    stage: rest!.stage,
    binaryMediaTypes: rest!.binaryMediaTypes,
    tls,
    signer,
  });
  return {
    url: front.url,
    dial: socket.dial,
    get pushed() {
      return socket.pushed;
    },
    get connected() {
      return socket.open;
    },
    logs,
    network: Object.assign(network, { calls }),
    ca: authority.cert,
    async deploy(RequestType = "Create", changed = {}) {
      for (const { function: name, properties: deployed } of wiring.deployments) {
        const properties = { ...deployed, ...changed };
        const event = { RequestType, ResponseURL: answers.url, StackId: "stack", RequestId: "request" };
        await functions.get(name)!.call({ ...event, LogicalResourceId: "Cluster", ResourceProperties: properties });
        const answer = answers.last();
        if (answer?.Status !== "SUCCESS") throw new Error(`${name} answered ${JSON.stringify(answer)}`);
      }
    },
    clusterId: environmentOf(wiring, "SKIFF_CLUSTER_ID"),
    secrets,
    published: () => publishedIn(buckets, environmentOf(wiring, "SKIFF_OIDC_BUCKET")),
    functions,
    cloud: cloudOf,
    ecs,
    get transitions() {
      return waits.transitions;
    },
    event: emit,
    queue(variable) {
      const QueueUrl = urls.get(environmentOf(wiring, variable))!;
      const asked = { QueueUrl, AttributeNames: ["All" as const] };
      return {
        send: ({ body, group, deduplication }) =>
          sqs.send(
            new SendMessageCommand({
              ...{ QueueUrl, MessageBody: body, MessageGroupId: group, MessageDeduplicationId: deduplication },
            }),
          ),
        async count() {
          const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand(asked));
          const { ApproximateNumberOfMessages: waiting, ApproximateNumberOfMessagesNotVisible: taken } = Attributes;
          return Number(waiting) + Number(taken);
        },
      };
    },
    async tick(at = new Date()) {
      for (const schedule of wiring.schedules) {
        const input = schedule.input?.replaceAll("<aws.scheduler.scheduled-time>", at.toISOString());
        await functions.get(schedule.function)!.call(input === undefined ? {} : JSON.parse(input));
      }
    },
    nodeRoles: wiring.functions.find(({ name }) => name === "link")?.environment["SKIFF_NODE_ROLES"],
    async stop() {
      ecs.stop();
      await front.stop();
      await socket.stop();
      await Promise.all(pollers.map((poller) => poller.stop()));
      await Promise.all([...functions.values()].map((one) => one.stop()));
      await cloudOf.stop();
      await sts.stop();
      await buckets.stop();
      await calls.stop();
      await answers.stop();
      rmSync(folder, { recursive: true, force: true });
      sqs.destroy();
      await faux.stop();
      await engine.stop();
    },
  };
}

/** The environment of the API function, or of the one that publishes its issuer. */
const environmentOf = ({ functions }: Wiring, name: string): string =>
  functions.find(({ environment }) => environment[name] !== undefined)!.environment[name]!;

const publishedIn = ({ objects }: Buckets, bucket: string): Record<string, string> =>
  Object.fromEntries(
    [...objects]
      .filter(([key]) => key.startsWith(`${bucket}/`))
      .map(([key, { body }]) => [key.slice(bucket.length + 1), body]),
  );

async function makeTables(endpoint: string, wiring: Wiring): Promise<void> {
  const client = new DynamoDBClient(emulator(endpoint));
  for (const table of wiring.tables) {
    const definition = table.stream ? tables.changes : tables.objects;
    await client.send(new CreateTableCommand(tableInput(table.name, definition)));
    await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName: table.name });
  }
  client.destroy();
}

/** The queues of the template, by their addresses. */
async function makeQueues(sqs: SQSClient, wiring: Wiring): Promise<Map<string, string>> {
  const urls = new Map<string, string>();
  // Dead-letter queues first: the others refer to them.
  const ordered = [...wiring.queues].sort(
    (a, b) => Number(a.deadLetters !== undefined) - Number(b.deadLetters !== undefined),
  );
  for (const queue of ordered) {
    const { QueueUrl } = await sqs.send(
      new CreateQueueCommand({
        QueueName: queue.name,
        Attributes: {
          VisibilityTimeout: String(queue.visibilityTimeout),
          ...(queue.fifo ? { FifoQueue: "true" } : {}),
          ...(queue.deadLetters
            ? {
                RedrivePolicy: JSON.stringify({
                  deadLetterTargetArn: queue.deadLetters.arn.replace(account, "000000000000"),
                  maxReceiveCount: queue.deadLetters.receives,
                }),
              }
            : {}),
        },
      }),
    );
    urls.set(queue.url, QueueUrl!);
  }
  return urls;
}

/** The URL at which CloudFormation receives the responses of custom resources. */
async function startAnswers(tls: { key: string; cert: string }) {
  let last: { Status?: string } | undefined;
  const server = createSecureServer(tls, (request, response) => {
    void text(request).then((body) => {
      last = JSON.parse(body);
      response.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}/answer`,
    last: () => last,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
