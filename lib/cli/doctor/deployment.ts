import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Instances of one group, at most. */
export interface Group {
  name: string;
  types: string[];
  maximum: number;
  spot: boolean;
}

/** The deployment, as far as the account must support it. */
export interface Deployment {
  cluster: string;
  region: string;
  /** The account of the deployment; undefined: the account of the deploying credentials. */
  account?: string;
  stacks: string[];
  /** The required version of CDK's bootstrap stack, and the parameter with the deployed version. */
  bootstrap: number;
  functions: string[];
  /** Names that must not exist yet, besides functions. */
  logGroups: string[];
  ecsClusters: string[];
  /** How many messages are worked on at once, at most. */
  consumers: number;
  groups: Group[];
  /** vCPU of services that always run on Fargate; whether pods may. */
  fargate: { services: number; pods: boolean };
  setsLoggingRole: boolean;
  /** A policy makes something public. */
  hasPublicBucket: boolean;
  boundary?: string;
}

interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
}

interface Artifact {
  type: string;
  environment?: string;
  properties?: { templateFile?: string; requiresBootstrapStackVersion?: number; tags?: Record<string, string> };
}

/** Reads a cloud assembly. Throws an Error with one line when there is none. */
export function readDeployment(folder: string): Deployment {
  let manifest: { artifacts?: Record<string, Artifact> };
  try {
    manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  } catch {
    throw new Error(`${folder} has no cloud assembly: run \`npm run synth\` first, or name --templates`);
  }
  const stacks = Object.entries(manifest.artifacts ?? {}).filter(([, { type }]) => type === "aws:cloudformation:stack");
  const [, first] = stacks[0] ?? [];
  const [, account = "", region = ""] = /^aws:\/\/([^/]+)\/(.+)$/.exec(first?.environment ?? "") ?? [];
  const cluster = first?.properties?.tags?.["skiff:cluster"];
  if (cluster === undefined || region === "") throw new Error(`${folder} is the assembly of something else`);
  const templates = stacks.map(
    ([name, { properties }]) =>
      JSON.parse(readFileSync(join(folder, properties?.templateFile ?? `${name}.template.json`), "utf8")) as {
        Resources: Record<string, Resource>;
      },
  );
  const resources = templates.flatMap(({ Resources }) => Object.entries(Resources));
  const of = (type: string) => resources.filter(([, { Type }]) => Type === type);
  const named = (type: string, property: string): string[] =>
    of(type).flatMap(([, { Properties }]) => {
      const name = Properties?.[property];
      return typeof name === "string" ? [name] : [];
    });
  const [boundary] = named("AWS::IAM::Role", "PermissionsBoundary");
  const mappings = of("AWS::Lambda::EventSourceMapping").filter(
    ([, { Properties }]) => Properties?.["Enabled"] !== false,
  );
  const concurrencyOf = ({ Properties }: Resource): number =>
    (Properties?.["ScalingConfig"] as { MaximumConcurrency?: number } | undefined)?.MaximumConcurrency ?? 0;
  return {
    cluster,
    region,
    ...(account === "unknown-account" ? {} : { account }),
    stacks: stacks.map(([name]) => name),
    bootstrap: Math.max(0, ...stacks.map(([, { properties }]) => properties?.requiresBootstrapStackVersion ?? 0)),
    functions: named("AWS::Lambda::Function", "FunctionName"),
    logGroups: named("AWS::Logs::LogGroup", "LogGroupName"),
    ecsClusters: named("AWS::ECS::Cluster", "ClusterName"),
    consumers: mappings.reduce((total, [, mapping]) => total + concurrencyOf(mapping), 0),
    groups: of("AWS::AutoScaling::AutoScalingGroup").map(([id, { Properties = {} }]) => groupOf(id, Properties)),
    fargate: {
      services: templates.reduce((total, { Resources }) => total + servicesOf(Resources), 0),
      pods: mappings.some(([id]) => id.startsWith("Fargate")),
    },
    hasPublicBucket: of("AWS::S3::Bucket").some(
      ([, { Properties }]) =>
        (Properties?.["PublicAccessBlockConfiguration"] as { BlockPublicPolicy?: boolean } | undefined)
          ?.BlockPublicPolicy === false,
    ),
    setsLoggingRole: of("AWS::ApiGateway::Account").length > 0,
    ...(boundary === undefined ? {} : { boundary }),
  };
}

interface MixedInstances {
  LaunchTemplate: { Overrides?: { InstanceType: string }[] };
  InstancesDistribution?: { OnDemandPercentageAboveBaseCapacity?: number };
}

function groupOf(id: string, properties: Record<string, unknown>): Group {
  const { LaunchTemplate, InstancesDistribution } = properties["MixedInstancesPolicy"] as MixedInstances;
  const name = (properties["Tags"] as { Key: string; Value: string }[] | undefined)?.find(({ Key }) => Key === "Name");
  return {
    name: name?.Value ?? id,
    types: (LaunchTemplate.Overrides ?? []).map(({ InstanceType }) => InstanceType),
    maximum: Number(properties["MaxSize"]),
    spot: InstancesDistribution?.OnDemandPercentageAboveBaseCapacity === 0,
  };
}

function servicesOf(resources: Record<string, Resource>): number {
  const services = Object.values(resources).filter(
    ({ Type, Properties }) => Type === "AWS::ECS::Service" && Properties?.["LaunchType"] === "FARGATE",
  );
  return services.reduce((total, { Properties = {} }) => {
    const task = resources[(Properties["TaskDefinition"] as { Ref: string }).Ref];
    return total + (Number(task?.Properties?.["Cpu"] ?? 0) / 1024) * Number(Properties["DesiredCount"] ?? 1);
  }, 0);
}
