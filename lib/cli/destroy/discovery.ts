import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
  GetTemplateCommand,
} from "@aws-sdk/client-cloudformation";
import { DescribeTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DescribeTasksCommand, ECSClient, paginateListTasks, StopTaskCommand } from "@aws-sdk/client-ecs";
import {
  DescribeTagsCommand,
  ElasticLoadBalancingV2Client,
  paginateDescribeLoadBalancers,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { DeleteObjectsCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { type Clock, sleep } from "#base";
import { type Deployed, dataPolicy, type Template } from "./plan.ts";

/** The settings of every AWS client. */
export interface ClientSettings {
  region: string;
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Path-style bucket addresses, for stand-ins without host names. */
  forcePathStyle?: boolean;
}

/** The resources that outlive the stacks when data is kept. */
export interface Data {
  tables: { name: string; stream?: string }[];
  buckets: string[];
  secrets: string[];
  logGroups: string[];
}

const isMissing = (error: unknown): boolean => error instanceof Error && /does not exist/.test(error.message);

/** Reads a cluster's stacks, and the data in them. */
export async function discover(
  aws: ClientSettings,
  cluster: string,
  names: readonly string[],
): Promise<{ deployed: Deployed; data: Data }> {
  const client = new CloudFormationClient(aws);
  const stacks: string[] = [];
  for (const name of names) {
    const found = await client.send(new DescribeStacksCommand({ StackName: name })).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (found?.Stacks?.[0]) stacks.push(name);
  }
  const resources = async (stack: string) => {
    if (!stacks.includes(stack)) return [];
    const { StackResources = [] } = await client.send(new DescribeStackResourcesCommand({ StackName: stack }));
    return StackResources.filter(({ ResourceStatus }) => ResourceStatus !== "DELETE_COMPLETE");
  };
  const [storage, nodes] = [`skiff-${cluster}-storage`, `skiff-${cluster}-nodes`];
  const kept = await resources(storage);
  const idsOf = (type: string, id = ""): string[] =>
    kept
      .filter(({ ResourceType, LogicalResourceId = "" }) => ResourceType === type && LogicalResourceId.startsWith(id))
      .flatMap(({ PhysicalResourceId }) => PhysicalResourceId ?? []);
  const data: Data = {
    tables: await Promise.all(idsOf("AWS::DynamoDB::Table").map((name) => tableNamed(aws, name))),
    buckets: idsOf("AWS::S3::Bucket"),
    secrets: idsOf("AWS::SecretsManager::Secret"),
    logGroups: idsOf("AWS::Logs::LogGroup", "PodLogs"),
  };
  const ecsCluster = (await resources(nodes)).find(({ ResourceType }) => ResourceType === "AWS::ECS::Cluster");
  const [bucket] = data.buckets;
  const policy = stacks.includes(storage) ? await policyOf(client, storage) : undefined;
  return {
    data,
    deployed: {
      cluster,
      stacks,
      policy,
      ecsCluster: ecsCluster?.PhysicalResourceId,
      bucket,
    },
  };
}

async function policyOf(client: CloudFormationClient, stack: string) {
  const { TemplateBody = "{}" } = await client.send(new GetTemplateCommand({ StackName: stack }));
  return dataPolicy(JSON.parse(TemplateBody) as Template);
}

async function tableNamed(aws: ClientSettings, name: string): Promise<Data["tables"][number]> {
  const { Table } = await new DynamoDBClient(aws).send(new DescribeTableCommand({ TableName: name }));
  return { name, ...(Table?.LatestStreamArn === undefined ? {} : { stream: Table.LatestStreamArn }) };
}

const tagsAtOnce = 20;

/** Load balancers of a cluster's services: they hold the network, and nothing removes them once the cluster is gone. */
export async function balancersOf(aws: ClientSettings, cluster: string): Promise<string[]> {
  const client = new ElasticLoadBalancingV2Client(aws);
  const names = new Map<string, string>();
  for await (const { LoadBalancers = [] } of paginateDescribeLoadBalancers({ client }, {})) {
    for (const { LoadBalancerArn = "", LoadBalancerName = "" } of LoadBalancers)
      names.set(LoadBalancerArn, LoadBalancerName);
  }
  const arns = [...names.keys()];
  const found: string[] = [];
  while (arns.length > 0) {
    const command = new DescribeTagsCommand({ ResourceArns: arns.splice(0, tagsAtOnce) });
    for (const { ResourceArn = "", Tags = [] } of (await client.send(command)).TagDescriptions ?? []) {
      const tags = new Map(Tags.map(({ Key, Value }) => [Key, Value]));
      if (tags.get("skiff:cluster") === cluster && tags.has("skiff:balancer")) found.push(names.get(ResourceArn) ?? "");
    }
  }
  return found;
}

const tasksAtOnce = 100;
const lookAgain = 5000;

/** Stops all tasks of an ECS cluster and waits until they have stopped. */
export async function stopTasks(aws: ClientSettings, cluster: string, clock: Clock): Promise<void> {
  const client = new ECSClient(aws);
  const tasks: string[] = [];
  for await (const { taskArns = [] } of paginateListTasks({ client }, { cluster })) tasks.push(...taskArns);
  for (const task of tasks) await client.send(new StopTaskCommand({ cluster, task, reason: "the cluster is removed" }));
  while (tasks.length > 0) {
    const some = tasks.slice(0, tasksAtOnce);
    const { tasks: described = [] } = await client.send(new DescribeTasksCommand({ cluster, tasks: some }));
    const running = new Set(
      described.filter(({ lastStatus }) => lastStatus !== "STOPPED").map(({ taskArn }) => taskArn),
    );
    tasks.splice(0, some.length, ...some.filter((task) => running.has(task)));
    if (running.size > 0) await sleep(clock, lookAgain);
  }
}

/** Deletes everything in a bucket. */
export async function empty(aws: ClientSettings, bucket: string): Promise<void> {
  const client = new S3Client(aws);
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket })) {
    const Objects = Contents.map(({ Key = "" }) => ({ Key }));
    if (Objects.length === 0) continue;
    const { Errors = [] } = await client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
    );
    if (Errors[0]) throw new Error(`${bucket}/${Errors[0].Key}: ${Errors[0].Message}`);
  }
}
