import { APIGatewayClient, GetAccountCommand } from "@aws-sdk/client-api-gateway";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { GetPolicyCommand, IAMClient } from "@aws-sdk/client-iam";
import { GetAccountSettingsCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type Check, failed, ok, unknown, warning } from "../check.ts";
import { streams } from "../regions.ts";

/** The credentials' account is the configured one. The identity was read before. */
export const account: Check = {
  name: "account",
  asks: [],
  async run({ deployment, account: found }) {
    const { account: configured, region } = deployment;
    if (configured === undefined) return [ok(`${found} in ${region}; the configuration names none`)];
    if (configured === found) return [ok(`${found} in ${region}`)];
    return [
      failed(`the credentials are for ${found}, and the configuration is for ${configured}`, "use the other profile"),
    ];
  },
};

export const streaming: Check = {
  name: "response streaming",
  asks: [],
  async run({ deployment: { region } }) {
    if (streams(region)) return [ok(`API Gateway streams in ${region}`)];
    return [
      unknown(
        `whether API Gateway streams in ${region} is not known here`,
        "watches need it: look for response streaming in the region's list of features before you deploy",
      ),
    ];
  },
};

/** Concurrency for users' requests, beyond that of the queues' readers. */
const requests = 10;

export const concurrency: Check = {
  name: "Lambda concurrency",
  asks: ["lambda:GetAccountSettings"],
  async run({ deployment, aws }) {
    const { AccountLimit } = await new LambdaClient(aws).send(new GetAccountSettingsCommand());
    const available = AccountLimit?.UnreservedConcurrentExecutions ?? 0;
    const needed = deployment.consumers + deployment.functions.length + requests;
    const result = `${available} unreserved, ${needed} needed`;
    const todo = "ask Service Quotas for more concurrent executions (L-B99A9384)";
    if (available >= needed) return [ok(result)];
    if (available <= deployment.functions.length) return [failed(result, todo)];
    return [warning(result, `${todo}, or lower \`concurrency\` in the configuration; each open watch takes one, too`)];
  },
};

export const loggingRole: Check = {
  name: "API Gateway's logging role",
  asks: ["apigateway:GET"],
  async run({ deployment, aws }) {
    const { cloudwatchRoleArn } = await new APIGatewayClient(aws).send(new GetAccountCommand());
    if (deployment.setsLoggingRole) {
      if (cloudwatchRoleArn === undefined || /\/skiff-/.test(cloudwatchRoleArn))
        return [ok("the deployment brings it")];
      return [
        warning(
          `the account's is ${cloudwatchRoleArn}, and the deployment puts its own in its place`,
          "nothing, unless that role has more permissions than API Gateway's managed policy",
        ),
      ];
    }
    if (cloudwatchRoleArn !== undefined) return [ok(cloudwatchRoleArn)];
    return [failed("the account has none", "name a role for API Gateway's logs in the account's settings")];
  },
};

export const bootstrap: Check = {
  name: "CDK bootstrap",
  asks: ["cloudformation:DescribeStacks"],
  async run({ deployment, aws, account: found }) {
    const { bootstrap: needed, region } = deployment;
    const todo = `run \`npx cdk bootstrap aws://${found}/${region}\``;
    const described = await new CloudFormationClient(aws)
      .send(new DescribeStacksCommand({ StackName: "CDKToolkit" }))
      .catch((error: unknown) => {
        if (error instanceof Error && /does not exist/.test(error.message)) return undefined;
        throw error;
      });
    const stack = described?.Stacks?.[0];
    if (!stack) return [failed(`there is no stack CDKToolkit in ${region}`, todo)];
    const { StackStatus = "" } = stack;
    if (StackStatus === "ROLLBACK_COMPLETE" || StackStatus.endsWith("_FAILED"))
      return [failed(`the stack CDKToolkit is ${StackStatus}`, `remove it, then ${todo}`)];
    const version = Number(stack.Outputs?.find(({ OutputKey }) => OutputKey === "BootstrapVersion")?.OutputValue ?? 0);
    if (version >= needed) return [ok(`version ${version}, ${needed} needed`)];
    return [failed(`version ${version}, ${needed} needed`, todo)];
  },
};

export const boundary: Check = {
  name: "permissions boundary",
  asks: ["iam:GetPolicy"],
  async run({ deployment, aws }) {
    const arn = deployment.boundary;
    if (arn === undefined) return [ok("none is configured")];
    try {
      const { Policy } = await new IAMClient(aws).send(new GetPolicyCommand({ PolicyArn: arn }));
      return [ok(Policy?.Arn ?? arn)];
    } catch (error) {
      if (!(error instanceof Error) || !/^NoSuchEntity/.test(error.name)) throw error;
      return [failed(`there is no policy ${arn}`, "create it, or remove `permissionsBoundary` from the configuration")];
    }
  },
};
