import { CloudFormationClient, DescribeStacksCommand, type Stack } from "@aws-sdk/client-cloudformation";
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeClustersCommand, ECSClient } from "@aws-sdk/client-ecs";
import { GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type Check, type CheckContext, type Finding, failed, ok } from "../check.ts";

/** Stacks that a failed first deployment leaves: they can only be removed. */
const stuck = new Set(["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"]);

/** The names of the deployment do not exist yet, or belong to it. */
export const names: Check = {
  name: "names",
  asks: ["cloudformation:DescribeStacks", "lambda:GetFunction", "logs:DescribeLogGroups", "ecs:DescribeClusters"],
  async run(context) {
    const { cluster, stacks: names } = context.deployment;
    const found = await Promise.all(names.map((name) => stackNamed(context, name)));
    const stacks = found.filter((stack) => stack !== undefined);
    const findings: Finding[] = [];
    for (const { StackName = "", Tags = [], StackStatus = "" } of stacks) {
      if (!Tags.some(({ Key, Value }) => Key === "skiff:cluster" && Value === cluster))
        findings.push(failed(`the stack ${StackName} exists and is not this cluster's`, another));
      else if (stuck.has(StackStatus))
        findings.push(failed(`the stack ${StackName} is ${StackStatus}`, "remove it, and then deploy"));
    }
    if (findings.length > 0) return findings;
    if (stacks.length > 0) return [ok(`${cluster} is deployed already, and would be updated`)];
    const taken = (await Promise.all([functionsOf(context), logGroupsOf(context), ecsClustersOf(context)])).flat();
    if (taken.length === 0) return [ok("none is taken")];
    return taken.map((what) => failed(`${what} exists and belongs to no stack of this cluster`, another));
  },
};

const another = "choose another `cluster`, or remove the existing resource";

async function stackNamed({ aws }: CheckContext, name: string): Promise<Stack | undefined> {
  try {
    return (await new CloudFormationClient(aws).send(new DescribeStacksCommand({ StackName: name }))).Stacks?.[0];
  } catch (error) {
    if (error instanceof Error && /does not exist/.test(error.message)) return undefined;
    throw error;
  }
}

async function functionsOf({ deployment, aws }: CheckContext): Promise<string[]> {
  const client = new LambdaClient(aws);
  const found = deployment.functions.map(async (FunctionName) => {
    try {
      await client.send(new GetFunctionConfigurationCommand({ FunctionName }));
      return [`the function ${FunctionName}`];
    } catch (error) {
      if (error instanceof Error && error.name === "ResourceNotFoundException") return [];
      throw error;
    }
  });
  return (await Promise.all(found)).flat();
}

async function logGroupsOf({ deployment, aws }: CheckContext): Promise<string[]> {
  const client = new CloudWatchLogsClient(aws);
  const found = deployment.logGroups.map(async (name) => {
    const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: name }));
    return logGroups.some(({ logGroupName }) => logGroupName === name) ? [`the log group ${name}`] : [];
  });
  return (await Promise.all(found)).flat();
}

async function ecsClustersOf({ deployment, aws }: CheckContext): Promise<string[]> {
  if (deployment.ecsClusters.length === 0) return [];
  const command = new DescribeClustersCommand({ clusters: deployment.ecsClusters });
  const { clusters = [] } = await new ECSClient(aws).send(command);
  return clusters
    .filter(({ status }) => status === "ACTIVE")
    .map(({ clusterName = "" }) => `the ECS cluster ${clusterName}`);
}
