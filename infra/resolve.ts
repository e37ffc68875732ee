/*
 * What CloudFormation makes of references, without CloudFormation: names, ARNs and addresses as they would be, the same
 * each time. Nothing here is an account's real state.
 */

export interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Metadata?: Record<string, unknown>;
}

/** A template of CloudFormation, as `cdk synth` writes it. */
export interface Template {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>;
  Parameters?: Record<string, { Type: string; Default?: string }>;
}

/** A resource and where it stands. */
export interface Placed {
  stack: string;
  logicalId: string;
  type: string;
  properties: Record<string, unknown>;
}

export interface ResolveOptions {
  account: string;
  region: string;
  partition?: string;
  urlSuffix?: string;
  /**
   * Says what an attribute of a resource is (`Ref`, `Arn`, …), where it is known better: a queue's address in an
   * emulator, say. Undefined leaves it to the rules.
   */
  override?: (resource: Placed, attribute: string) => string | undefined;
}

export interface Resolver {
  resources: Placed[];
  /** The value with every intrinsic function replaced. Throws an Error that names what it does not know. */
  resolve(stack: string, value: unknown): unknown;
  text(stack: string, value: unknown): string;
  attribute(resource: Placed, name: string): string;
}

/** Reads templates by the names of their stacks. */
export function resolver(templates: Readonly<Record<string, Template>>, options: ResolveOptions): Resolver {
  const { account, region, partition = "aws", urlSuffix = "amazonaws.com", override } = options;
  const resources = Object.entries(templates).flatMap(([stack, { Resources }]) =>
    Object.entries(Resources).map(([logicalId, { Type, Properties = {} }]) => ({
      stack,
      logicalId,
      type: Type,
      properties: Properties,
    })),
  );
  const placed = new Map(resources.map((resource) => [`${resource.stack}/${resource.logicalId}`, resource]));
  const exports = new Map<string, { stack: string; value: unknown }>();
  for (const [stack, { Outputs = {} }] of Object.entries(templates)) {
    for (const { Value, Export } of Object.values(Outputs)) {
      if (Export) exports.set(String(Export.Name), { stack, value: Value });
    }
  }
  const arn = (service: string, rest: string, { global = false } = {}): string =>
    `arn:${partition}:${service}:${global ? "" : region}:${service === "s3" ? "" : account}:${rest}`;

  const nameOf = (resource: Placed): string => {
    const { stack, logicalId, type, properties } = resource;
    const given = nameProperties.map((property) => properties[property]).find((value) => value !== undefined);
    if (given !== undefined) return text(stack, given);
    const made = `${stack}-${logicalId}`;
    if (type === "AWS::SQS::Queue" && properties["FifoQueue"] === true) return `${made}.fifo`;
    return lowerCase.has(type) ? made.toLowerCase() : made;
  };

  const attribute = (resource: Placed, attributeName: string): string => {
    const better = override?.(resource, attributeName);
    if (better !== undefined) return better;
    const name = nameOf(resource);
    const rule = rules[resource.type]?.[attributeName];
    if (rule) return rule({ name, arn, region, account, urlSuffix });
    if (attributeName === "Ref") return name;
    if (attributeName === "Arn") return arn(serviceOf(resource.type), name);
    return `${name}.${attributeName}`;
  };

  const reference = (stack: string, name: string): unknown => {
    const pseudo: Record<string, unknown> = {
      "AWS::AccountId": account,
      "AWS::Region": region,
      "AWS::Partition": partition,
      "AWS::URLSuffix": urlSuffix,
      "AWS::StackName": stack,
      "AWS::NoValue": undefined,
    };
    if (name in pseudo) return pseudo[name];
    const parameter = templates[stack]?.Parameters?.[name];
    if (parameter) return parameter.Default ?? name;
    const resource = placed.get(`${stack}/${name}`);
    if (!resource) throw new Error(`${stack}: nothing is called ${name}`);
    return attribute(resource, "Ref");
  };

  const intrinsics: Record<string, (stack: string, inner: unknown) => unknown> = {
    Ref: (stack, inner) => reference(stack, String(inner)),
    "Fn::GetAtt": (stack, inner) => {
      const [id = "", name = ""] = Array.isArray(inner) ? (inner as string[]) : String(inner).split(".");
      const resource = placed.get(`${stack}/${id}`);
      if (!resource) throw new Error(`${stack}: nothing is called ${id}`);
      return attribute(resource, name);
    },
    "Fn::Sub": (stack, inner) => {
      const [pattern, values] = (Array.isArray(inner) ? inner : [inner, {}]) as [string, Record<string, unknown>];
      return pattern.replace(/\$\{(!?)([^}]+)\}/g, (_whole, literal: string, name: string) => {
        if (literal) return `\${${name}}`;
        if (name in values) return text(stack, values[name]);
        return text(stack, name.includes(".") ? { "Fn::GetAtt": name.split(".") } : { Ref: name });
      });
    },
    "Fn::Join": (stack, inner) => {
      const [separator, items] = inner as [string, unknown];
      return (resolve(stack, items) as unknown[]).join(separator);
    },
    "Fn::ImportValue": (_stack, inner) => {
      const exported = exports.get(String(inner));
      if (!exported) throw new Error(`no stack exports ${String(inner)}`);
      return resolve(exported.stack, exported.value);
    },
    "Fn::Select": (stack, inner) => {
      const [index, items] = resolve(stack, inner) as [number | string, unknown[]];
      return items[Number(index)];
    },
    "Fn::Split": (stack, inner) => {
      const [separator, value] = resolve(stack, inner) as [string, string];
      return value.split(separator);
    },
    "Fn::GetAZs": () => ["a", "b", "c"].map((zone) => `${region}${zone}`),
    "Fn::Cidr": (stack, inner) => {
      const [block, count, bits] = resolve(stack, inner) as [string, number, string];
      return Array.from({ length: Number(count) }, (_, index) => partOfBlock(block, index, Number(bits)));
    },
    "Fn::Base64": (stack, inner) => resolve(stack, inner),
  };

  const resolve = (stack: string, value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => resolve(stack, item)).filter((item) => item !== undefined);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value);
    const [name = "", inner] = entries[0] ?? [];
    if (entries.length === 1 && (name === "Ref" || name.startsWith("Fn::"))) {
      const known = intrinsics[name];
      if (!known) throw new Error(`${stack}: ${name} is not understood`);
      return known(stack, inner);
    }
    return Object.fromEntries(entries.map(([key, item]) => [key, resolve(stack, item)]));
  };

  const text = (stack: string, value: unknown): string => {
    const made = resolve(stack, value);
    if (typeof made !== "string") throw new Error(`${stack}: ${JSON.stringify(value)} is no text`);
    return made;
  };
  return { resources, resolve, text, attribute };
}

/** The part of an IPv4 block with this number, of which each has so many bits for hosts. */
function partOfBlock(block: string, index: number, hostBits: number): string {
  const [base = ""] = block.split("/");
  const first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0) + index * 2 ** hostBits;
  const parts = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${parts.join(".")}/${32 - hostBits}`;
}

const nameProperties = [
  "TableName",
  "QueueName",
  "FunctionName",
  "LogGroupName",
  "BucketName",
  "ClusterName",
  "StateMachineName",
  "StageName",
  "AlarmName",
];
/** Their names become parts of addresses. */
const lowerCase = new Set(["AWS::S3::Bucket", "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"]);

const serviceOf = (type: string): string => (type.split("::")[1] ?? "").toLowerCase();

interface About {
  name: string;
  arn(service: string, rest: string, options?: { global?: boolean }): string;
  region: string;
  account: string;
  urlSuffix: string;
}

/** What attributes look like, where it is not the name, or `arn:…:<name>`. */
const rules: Record<string, Record<string, (about: About) => string>> = {
  "AWS::DynamoDB::Table": {
    Arn: ({ arn, name }) => arn("dynamodb", `table/${name}`),
    StreamArn: ({ arn, name }) => arn("dynamodb", `table/${name}/stream/1`),
  },
  "AWS::SQS::Queue": {
    Ref: ({ name, region, account, urlSuffix }) => `https://sqs.${region}.${urlSuffix}/${account}/${name}`,
    Arn: ({ arn, name }) => arn("sqs", name),
    QueueName: ({ name }) => name,
  },
  "AWS::Lambda::Function": { Arn: ({ arn, name }) => arn("lambda", `function:${name}`) },
  "AWS::StepFunctions::StateMachine": {
    Ref: ({ arn, name }) => arn("states", `stateMachine:${name}`),
    Arn: ({ arn, name }) => arn("states", `stateMachine:${name}`),
    Name: ({ name }) => name,
  },
  "AWS::SecretsManager::Secret": { Ref: ({ arn, name }) => arn("secretsmanager", `secret:${name}-000000`) },
  "AWS::S3::Bucket": {
    Arn: ({ arn, name }) => arn("s3", name, { global: true }),
    RegionalDomainName: ({ name, region, urlSuffix }) => `${name}.s3.${region}.${urlSuffix}`,
  },
  "AWS::IAM::Role": { Arn: ({ arn, name }) => arn("iam", `role/${name}`, { global: true }) },
  "AWS::Logs::LogGroup": { Arn: ({ arn, name }) => arn("logs", `log-group:${name}:*`) },
  "AWS::ECS::Cluster": { Arn: ({ arn, name }) => arn("ecs", `cluster/${name}`) },
  "AWS::CloudWatch::Alarm": { Arn: ({ arn, name }) => arn("cloudwatch", `alarm:${name}`) },
  "AWS::Events::Rule": { Arn: ({ arn, name }) => arn("events", `rule/${name}`) },
  "AWS::SNS::Topic": { Ref: ({ arn, name }) => arn("sns", name) },
};
