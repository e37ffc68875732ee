/*
 * Resolves the references of templates without CloudFormation: names, ARNs and addresses in the form that they would
 * have, always the same. Nothing here is read from an account.
 */

export interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Metadata?: Record<string, unknown>;
}

/** A CloudFormation template, as `cdk synth` writes it. */
export interface Template {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>;
  Parameters?: Record<string, { Type: string; Default?: string }>;
}

/** A resource, with its stack. */
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
   * Overrides an attribute of a resource (`Ref`, `Arn`, …), such as a queue's address in an emulator. Undefined: the
   * rules below apply.
   */
  override?: (resource: Placed, attribute: string) => string | undefined;
}

type Intrinsic = (stack: string, inner: unknown) => unknown;

/** Reads templates, by the names of their stacks. */
export class Resolver {
  readonly resources: readonly Placed[];
  readonly #templates: Readonly<Record<string, Template>>;
  readonly #options: ResolveOptions;
  readonly #partition: string;
  readonly #urlSuffix: string;
  readonly #placed: ReadonlyMap<string, Placed>;
  readonly #exports: ReadonlyMap<string, { stack: string; value: unknown }>;

  constructor(templates: Readonly<Record<string, Template>>, options: ResolveOptions) {
    this.#templates = templates;
    this.#options = options;
    this.#partition = options.partition ?? "aws";
    this.#urlSuffix = options.urlSuffix ?? "amazonaws.com";
    this.resources = resourcesIn(templates);
    this.#placed = new Map(this.resources.map((resource) => [`${resource.stack}/${resource.logicalId}`, resource]));
    this.#exports = exportsOf(templates);
  }

  /** The value with every intrinsic function replaced. Throws an Error that names what is unknown. */
  resolve(stack: string, value: unknown): unknown {
    if (Array.isArray(value)) {
      return value.map((item) => this.resolve(stack, item)).filter((item) => item !== undefined);
    }
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value);
    const [name = "", inner] = entries[0] ?? [];
    if (entries.length === 1 && (name === "Ref" || name.startsWith("Fn::"))) {
      const intrinsic = this.#intrinsics[name];
      if (!intrinsic) throw new Error(`${stack}: ${name} is unknown`);
      return intrinsic(stack, inner);
    }
    return Object.fromEntries(entries.map(([key, item]) => [key, this.resolve(stack, item)]));
  }

  /** As `resolve`; throws also when the result is not a string. */
  text(stack: string, value: unknown): string {
    const resolved = this.resolve(stack, value);
    if (typeof resolved !== "string") throw new Error(`${stack}: ${JSON.stringify(value)} is not a string`);
    return resolved;
  }

  /** The value of `Ref` or of an attribute of `Fn::GetAtt`. */
  attribute(resource: Placed, attributeName: string): string {
    const overridden = this.#options.override?.(resource, attributeName);
    if (overridden !== undefined) return overridden;
    const name = this.#nameOf(resource);
    const rule = rules[resource.type]?.[attributeName];
    const { account, region } = this.#options;
    if (rule) return rule({ name, arn: this.#arn, region, account, urlSuffix: this.#urlSuffix });
    if (attributeName === "Ref") return name;
    if (attributeName === "Arn") return this.#arn(serviceOf(resource.type), name);
    return `${name}.${attributeName}`;
  }

  #arn = (service: string, rest: string, { global = false } = {}): string => {
    const { account, region } = this.#options;
    return `arn:${this.#partition}:${service}:${global ? "" : region}:${service === "s3" ? "" : account}:${rest}`;
  };

  #nameOf({ stack, logicalId, type, properties }: Placed): string {
    const given = nameProperties.map((property) => properties[property]).find((value) => value !== undefined);
    if (given !== undefined) return this.text(stack, given);
    const generated = `${stack}-${logicalId}`;
    if (type === "AWS::SQS::Queue" && properties["FifoQueue"] === true) return `${generated}.fifo`;
    return lowerCase.has(type) ? generated.toLowerCase() : generated;
  }

  #find(stack: string, logicalId: string): Placed {
    const resource = this.#placed.get(`${stack}/${logicalId}`);
    if (!resource) throw new Error(`${stack}: there is no resource ${logicalId}`);
    return resource;
  }

  #reference(stack: string, name: string): unknown {
    const pseudo: Record<string, unknown> = {
      "AWS::AccountId": this.#options.account,
      "AWS::Region": this.#options.region,
      "AWS::Partition": this.#partition,
      "AWS::URLSuffix": this.#urlSuffix,
      "AWS::StackName": stack,
      "AWS::NoValue": undefined,
    };
    if (name in pseudo) return pseudo[name];
    const parameter = this.#templates[stack]?.Parameters?.[name];
    if (parameter) return parameter.Default ?? name;
    return this.attribute(this.#find(stack, name), "Ref");
  }

  #substitute(stack: string, pattern: string, values: Record<string, unknown>): string {
    return pattern.replace(/\$\{(!?)([^}]+)\}/g, (_match, literal: string, name: string) => {
      if (literal) return `\${${name}}`;
      if (name in values) return this.text(stack, values[name]);
      return this.text(stack, name.includes(".") ? { "Fn::GetAtt": name.split(".") } : { Ref: name });
    });
  }

  readonly #intrinsics: Readonly<Record<string, Intrinsic>> = {
    Ref: (stack, inner) => this.#reference(stack, String(inner)),
    "Fn::GetAtt": (stack, inner) => {
      const [id = "", name = ""] = Array.isArray(inner) ? (inner as string[]) : String(inner).split(".");
      return this.attribute(this.#find(stack, id), name);
    },
    "Fn::Sub": (stack, inner) => {
      const [pattern, values] = (Array.isArray(inner) ? inner : [inner, {}]) as [string, Record<string, unknown>];
      return this.#substitute(stack, pattern, values);
    },
    "Fn::Join": (stack, inner) => {
      const [separator, items] = inner as [string, unknown];
      return (this.resolve(stack, items) as unknown[]).join(separator);
    },
    "Fn::ImportValue": (_stack, inner) => {
      const exported = this.#exports.get(String(inner));
      if (!exported) throw new Error(`no stack exports ${String(inner)}`);
      return this.resolve(exported.stack, exported.value);
    },
    "Fn::Select": (stack, inner) => {
      const [index, items] = this.resolve(stack, inner) as [number | string, unknown[]];
      return items[Number(index)];
    },
    "Fn::Split": (stack, inner) => {
      const [separator, value] = this.resolve(stack, inner) as [string, string];
      return value.split(separator);
    },
    "Fn::GetAZs": () => ["a", "b", "c"].map((zone) => `${this.#options.region}${zone}`),
    "Fn::Cidr": (stack, inner) => {
      const [block, count, bits] = this.resolve(stack, inner) as [string, number, string];
      return Array.from({ length: Number(count) }, (_, index) => partOfBlock(block, index, Number(bits)));
    },
    "Fn::Base64": (stack, inner) => this.resolve(stack, inner),
  };
}

const resourcesIn = (templates: Readonly<Record<string, Template>>): Placed[] =>
  Object.entries(templates).flatMap(([stack, { Resources }]) =>
    Object.entries(Resources).map(([logicalId, { Type, Properties = {} }]) => ({
      stack,
      logicalId,
      type: Type,
      properties: Properties,
    })),
  );

function exportsOf(templates: Readonly<Record<string, Template>>): Map<string, { stack: string; value: unknown }> {
  const exports = new Map<string, { stack: string; value: unknown }>();
  for (const [stack, { Outputs = {} }] of Object.entries(templates)) {
    for (const { Value, Export } of Object.values(Outputs)) {
      if (Export) exports.set(String(Export.Name), { stack, value: Value });
    }
  }
  return exports;
}

/** The `index`th part of an IPv4 block, when each part has `hostBits` bits for hosts. */
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
/** Types whose names become parts of addresses. */
const lowerCase = new Set(["AWS::S3::Bucket", "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"]);

const serviceOf = (type: string): string => (type.split("::")[1] ?? "").toLowerCase();

interface RuleInput {
  name: string;
  arn(service: string, rest: string, options?: { global?: boolean }): string;
  region: string;
  account: string;
  urlSuffix: string;
}

/** Attributes that are neither the name nor `arn:…:<name>`. */
const rules: Record<string, Record<string, (input: RuleInput) => string>> = {
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
