import { type Placed, type ResolveOptions, Resolver, type Template } from "./resolve.ts";

export type { Placed, ResolveOptions, Resource, Template } from "./resolve.ts";

/** Everything that is wired, as plain data: enough to run the functions without AWS. */
export interface Wiring {
  functions: WiredFunction[];
  tables: WiredTable[];
  queues: WiredQueue[];
  mappings: Mapping[];
  stateMachines: StateMachine[];
  rest: { id: string; stage: string; binaryMediaTypes: string[]; routes: RestRoute[] } | undefined;
  webSocket: { id: string; stage: string; selection: string; routes: WebSocketRoute[] } | undefined;
  schedules: Schedule[];
  rules: EventRule[];
  /** Functions that CloudFormation calls at deployment, with their properties. */
  deployments: { function: string; type: string; properties: Record<string, unknown> }[];
  secrets: { arn: string }[];
  buckets: { name: string }[];
  logGroups: { name: string; retention: number | undefined }[];
}

export interface WiredFunction {
  /** The name of its folder. */
  name: string;
  functionName: string;
  arn: string;
  logicalId: string;
  handler: string;
  runtime: string;
  /** Folder of its code beside the template: `asset.<hash>`. */
  code: string;
  /** Seconds. */
  timeout: number;
  /** MB. */
  memory: number;
  environment: Record<string, string>;
  /** ARN of the queue for failed asynchronous calls. */
  deadLetters: string | undefined;
  /** Retries of an asynchronous call, and its longest age in seconds. */
  asynchronous: { retries: number; age: number } | undefined;
  loops: boolean;
}

export interface WiredTable {
  name: string;
  arn: string;
  /** Names of attributes and their types. */
  partitionKey: { name: string; type: string };
  sortKey: { name: string; type: string } | undefined;
  timeToLive: string | undefined;
  stream: { arn: string; view: string } | undefined;
}

export interface WiredQueue {
  name: string;
  url: string;
  arn: string;
  fifo: boolean;
  contentBasedDeduplication: boolean;
  /** Seconds. */
  visibilityTimeout: number;
  deadLetters: { arn: string; receives: number } | undefined;
}

/** A Lambda event source mapping. */
export interface Mapping {
  function: string;
  /** The queue, or the table whose stream is read, by its name. */
  source: { kind: "stream" | "queue"; name: string; arn: string };
  batchSize: number;
  /** One of these patterns must match; without any, every record does. */
  filters: Record<string, unknown>[];
  partialFailures: boolean;
  maximumConcurrency: number | undefined;
  startingPosition: string | undefined;
  retries: number | undefined;
  /** Seconds. */
  maximumAge: number | undefined;
  bisect: boolean;
  /** ARN of the queue to which discarded batches are reported. */
  onFailure: string | undefined;
}

export interface StateMachine {
  name: string;
  arn: string;
  type: string;
  definition: Record<string, unknown>;
}

export interface RestRoute {
  path: string;
  method: string;
  authorization: string;
  function: string;
  transferMode: string;
}

export interface WebSocketRoute {
  key: string;
  authorization: string;
  function: string;
}

export interface Schedule {
  expression: string;
  function: string;
  input: string | undefined;
  retries: number;
  deadLetters: string | undefined;
}

export interface EventRule {
  pattern: Record<string, unknown>;
  function: string;
  /** The function's input instead of the event. */
  input: string | undefined;
}

/**
 * Reads the wiring from the templates of one cluster, by the names of their stacks (`readTemplates` reads them from
 * `cdk.out`). Pure: names, ARNs and addresses have CloudFormation's form, or come from `override`. Throws an Error that
 * names what it cannot read.
 */
export function readWiring(templates: Readonly<Record<string, Template>>, options: ResolveOptions): Wiring {
  const from = new Reader(templates, options);
  return {
    functions: from.all("AWS::Lambda::Function").map((one) => functionOf(from, one)),
    tables: from.all("AWS::DynamoDB::Table").map((one) => tableOf(from, one)),
    queues: from.all("AWS::SQS::Queue").map((one) => queueOf(from, one)),
    mappings: from.all("AWS::Lambda::EventSourceMapping").map((one) => mappingOf(from, one)),
    stateMachines: from.all("AWS::StepFunctions::StateMachine").map((one) => stateMachineOf(from, one)),
    rest: restOf(from),
    webSocket: webSocketOf(from),
    schedules: from.all("AWS::Scheduler::Schedule").map((one) => scheduleOf(from, one)),
    rules: from.all("AWS::Events::Rule").flatMap((one) => rulesOf(from, one)),
    deployments: from
      .all()
      .filter(({ type }) => type.startsWith("Custom::"))
      .map((one) => deploymentOf(from, one)),
    secrets: from.all("AWS::SecretsManager::Secret").map((one) => ({ arn: from.attribute(one, "Ref") })),
    buckets: from.all("AWS::S3::Bucket").map((one) => ({ name: from.attribute(one, "Ref") })),
    logGroups: from.all("AWS::Logs::LogGroup").map((one) => ({
      name: from.attribute(one, "Ref"),
      retention: from.properties(one)["RetentionInDays"] as number | undefined,
    })),
  };
}

/** Resolved properties. */
// biome-ignore lint/suspicious/noExplicitAny: templates have no types
type Properties = Record<string, any>;

class Reader extends Resolver {
  /** The resources of a type, or all. */
  all(type?: string): Placed[] {
    return this.resources.filter((one) => type === undefined || one.type === type);
  }

  properties(resource: Placed): Properties {
    return this.resolve(resource.stack, resource.properties) as Properties;
  }

  /** The name of the function that has this ARN or name, or whose ARN is a part of the text. */
  functionIn(text: string): string {
    for (const one of this.all("AWS::Lambda::Function")) {
      const [name, arn] = [this.attribute(one, "Ref"), this.attribute(one, "Arn")];
      if (text === name || text === arn || text.includes(`${arn}/`)) return shortName(name);
    }
    throw new Error(`there is no function ${text}`);
  }
}

/** `skiff-<cluster>-<name>`; clusters may have dashes, functions have none. */
const shortName = (functionName: string): string => functionName.slice(functionName.lastIndexOf("-") + 1);

function functionOf(from: Reader, one: Placed): WiredFunction {
  const properties = from.properties(one);
  const functionName = from.attribute(one, "Ref");
  const invoked = from
    .all("AWS::Lambda::EventInvokeConfig")
    .map((config) => from.properties(config))
    .find((config) => config["FunctionName"] === functionName);
  return {
    name: shortName(functionName),
    functionName,
    arn: from.attribute(one, "Arn"),
    logicalId: one.logicalId,
    handler: properties["Handler"],
    runtime: properties["Runtime"],
    code: `asset.${String(properties["Code"]["S3Key"]).replace(/\.zip$/, "")}`,
    timeout: properties["Timeout"],
    memory: properties["MemorySize"],
    environment: properties["Environment"]?.["Variables"] ?? {},
    deadLetters: properties["DeadLetterConfig"]?.["TargetArn"],
    asynchronous: invoked && {
      retries: invoked["MaximumRetryAttempts"],
      age: invoked["MaximumEventAgeInSeconds"],
    },
    loops: properties["RecursiveLoop"] === "Allow",
  };
}

function tableOf(from: Reader, one: Placed): WiredTable {
  const properties = from.properties(one);
  const key = (type: string) => {
    const name = properties["KeySchema"].find((part: Properties) => part["KeyType"] === type)?.["AttributeName"];
    const defined = properties["AttributeDefinitions"].find((part: Properties) => part["AttributeName"] === name);
    return name === undefined ? undefined : { name: name as string, type: defined["AttributeType"] as string };
  };
  const view = properties["StreamSpecification"]?.["StreamViewType"];
  return {
    name: from.attribute(one, "Ref"),
    arn: from.attribute(one, "Arn"),
    partitionKey: key("HASH")!,
    sortKey: key("RANGE"),
    timeToLive: properties["TimeToLiveSpecification"]?.["AttributeName"],
    stream: view === undefined ? undefined : { arn: from.attribute(one, "StreamArn"), view },
  };
}

function queueOf(from: Reader, one: Placed): WiredQueue {
  const properties = from.properties(one);
  const redrive = properties["RedrivePolicy"];
  return {
    name: from.attribute(one, "QueueName"),
    url: from.attribute(one, "Ref"),
    arn: from.attribute(one, "Arn"),
    fifo: properties["FifoQueue"] === true,
    contentBasedDeduplication: properties["ContentBasedDeduplication"] === true,
    visibilityTimeout: properties["VisibilityTimeout"] ?? 30,
    deadLetters: redrive && { arn: redrive["deadLetterTargetArn"], receives: redrive["maxReceiveCount"] },
  };
}

function mappingOf(from: Reader, one: Placed): Mapping {
  const properties = from.properties(one);
  const arn: string = properties["EventSourceArn"];
  const isQueue = (candidate: Placed) => from.attribute(candidate, "Arn") === arn;
  const queue = from.all("AWS::SQS::Queue").find(isQueue);
  const table = from.all("AWS::DynamoDB::Table").find((candidate) => from.attribute(candidate, "StreamArn") === arn);
  if (!queue && !table) throw new Error(`${one.logicalId} reads ${arn}, which is neither a queue nor a stream`);
  return {
    function: from.functionIn(properties["FunctionName"]),
    source: queue
      ? { kind: "queue", name: from.attribute(queue, "QueueName"), arn }
      : { kind: "stream", name: from.attribute(table!, "Ref"), arn },
    batchSize: properties["BatchSize"],
    filters: (properties["FilterCriteria"]?.["Filters"] ?? []).map((filter: Properties) =>
      JSON.parse(filter["Pattern"]),
    ),
    partialFailures: (properties["FunctionResponseTypes"] ?? []).includes("ReportBatchItemFailures"),
    maximumConcurrency: properties["ScalingConfig"]?.["MaximumConcurrency"],
    startingPosition: properties["StartingPosition"],
    retries: properties["MaximumRetryAttempts"],
    maximumAge: properties["MaximumRecordAgeInSeconds"],
    bisect: properties["BisectBatchOnFunctionError"] === true,
    onFailure: properties["DestinationConfig"]?.["OnFailure"]?.["Destination"],
  };
}

function stateMachineOf(from: Reader, one: Placed): StateMachine {
  const properties = from.properties(one);
  return {
    name: from.attribute(one, "Name"),
    arn: from.attribute(one, "Ref"),
    type: properties["StateMachineType"] ?? "STANDARD",
    definition: JSON.parse(properties["DefinitionString"]),
  };
}

function restOf(from: Reader): Wiring["rest"] {
  const [api] = from.all("AWS::ApiGateway::RestApi");
  const [stage] = from.all("AWS::ApiGateway::Stage");
  if (!api || !stage) return undefined;
  const paths = new Map([[from.attribute(api, "RootResourceId"), ""]]);
  const left = from.all("AWS::ApiGateway::Resource");
  // A resource may precede its parent.
  for (let round = left.length; round > 0; round--) {
    for (const resource of left) {
      const { ParentId, PathPart } = from.properties(resource);
      const parent = paths.get(ParentId);
      if (parent !== undefined) paths.set(from.attribute(resource, "Ref"), `${parent}/${PathPart}`);
    }
  }
  const routes = from.all("AWS::ApiGateway::Method").map((method): RestRoute => {
    const { HttpMethod, AuthorizationType, ResourceId, Integration } = from.properties(method);
    return {
      path: paths.get(ResourceId) || "/",
      method: HttpMethod,
      authorization: AuthorizationType,
      function: from.functionIn(Integration["Uri"]),
      transferMode: Integration["ResponseTransferMode"] ?? "BUFFERED",
    };
  });
  return {
    id: from.attribute(api, "Ref"),
    stage: from.attribute(stage, "Ref"),
    binaryMediaTypes: from.properties(api)["BinaryMediaTypes"] ?? [],
    routes,
  };
}

function webSocketOf(from: Reader): Wiring["webSocket"] {
  const [api] = from.all("AWS::ApiGatewayV2::Api");
  const [stage] = from.all("AWS::ApiGatewayV2::Stage");
  if (!api || !stage) return undefined;
  const integrations = new Map(
    from
      .all("AWS::ApiGatewayV2::Integration")
      .map((one) => [`integrations/${from.attribute(one, "Ref")}`, from.properties(one)["IntegrationUri"] as string]),
  );
  return {
    id: from.attribute(api, "Ref"),
    stage: from.attribute(stage, "Ref"),
    selection: from.properties(api)["RouteSelectionExpression"],
    routes: from.all("AWS::ApiGatewayV2::Route").map((route) => {
      const { RouteKey, AuthorizationType, Target } = from.properties(route);
      const uri = integrations.get(Target);
      if (uri === undefined) throw new Error(`the route ${RouteKey} leads nowhere`);
      return { key: RouteKey, authorization: AuthorizationType ?? "NONE", function: from.functionIn(uri) };
    }),
  };
}

function scheduleOf(from: Reader, one: Placed): Schedule {
  const { ScheduleExpression, Target } = from.properties(one);
  return {
    expression: ScheduleExpression,
    function: from.functionIn(Target["Arn"]),
    input: Target["Input"],
    retries: Target["RetryPolicy"]?.["MaximumRetryAttempts"] ?? 185,
    deadLetters: Target["DeadLetterConfig"]?.["Arn"],
  };
}

function rulesOf(from: Reader, one: Placed): EventRule[] {
  const { EventPattern, Targets } = from.properties(one);
  return (Targets as Properties[]).map((target) => ({
    pattern: EventPattern,
    function: from.functionIn(target["Arn"]),
    input: target["Input"],
  }));
}

function deploymentOf(from: Reader, one: Placed): Wiring["deployments"][number] {
  const { ServiceToken, ServiceTimeout: _, ...properties } = from.properties(one);
  return { function: from.functionIn(ServiceToken), type: one.type, properties };
}
