import {
  ArnFormat,
  aws_apigatewayv2 as apigateway,
  aws_iam as iam,
  type aws_lambda as lambda,
  aws_logs as logs,
  RemovalPolicy,
  type Stack,
} from "aws-cdk-lib";
import type { IDependable } from "constructs";
import type { Config } from "../config.ts";
import { acknowledge } from "./acknowledge.ts";

const stage = "link";

export interface WebSocket {
  /** `wss://…`, for agents. */
  dial: string;
  /** `https://…`, for those who push. */
  manage: string;
  /** The ARN of whatever is pushed to, and of whatever is cut off. */
  connections: string;
  cutOffs: string;
  /** The ARN of dialling in. */
  connectArn: string;
  /** Gives it its routes and its stage. Its logs need the account's role, which `after` is. */
  connect(handler: lambda.IFunction, after: IDependable): void;
}

/** Who may dial in is IAM's to say; what is sent over a connection was authorized when it was made. */
const routes = [
  ["$connect", "AWS_IAM"],
  ["$disconnect", "NONE"],
  ["$default", "NONE"],
] as const;

/** The agents' WebSocket API. It is made before its function, which is told its address. */
export function webSocket(scope: Stack, config: Config): WebSocket {
  const api = new apigateway.CfnApi(scope, "LinkApi", {
    name: `skiff-${config.cluster}-link`,
    description: `Skiff ${config.cluster}: where agents dial in`,
    protocolType: "WEBSOCKET",
    // Every message goes to $default; the function reads them.
    routeSelectionExpression: "$request.body.action",
  });
  const host = `${api.ref}.execute-api.${scope.region}.${scope.urlSuffix}/${stage}`;
  const arn = (what: string) =>
    scope.formatArn({
      service: "execute-api",
      resource: api.ref,
      resourceName: `${stage}/${what}`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
  const connect = (handler: lambda.IFunction, after: IDependable): void => {
    const integration = new apigateway.CfnIntegration(scope, "LinkIntegration", {
      apiId: api.ref,
      integrationType: "AWS_PROXY",
      integrationUri: `arn:${scope.partition}:apigateway:${scope.region}:lambda:path/2015-03-31/functions/${handler.functionArn}/invocations`,
    });
    const made = routes.map(
      ([routeKey, authorizationType]) =>
        new apigateway.CfnRoute(scope, `LinkRoute${routeKey.slice(1)}`, {
          apiId: api.ref,
          routeKey,
          authorizationType,
          target: `integrations/${integration.ref}`,
        }),
    );
    for (const route of made) {
      if (route.routeKey === "$connect") continue;
      acknowledge(route, { APIG4: "only $connect can have an authorizer: who is connected has been authorized" });
    }
    handler.addPermission("LinkPermission", {
      principal: new iam.ServicePrincipal("apigateway.amazonaws.com"),
      sourceArn: scope.formatArn({ service: "execute-api", resource: api.ref, resourceName: "*" }),
    });
    const accessLogs = new logs.LogGroup(scope, "LinkAccessLogs", {
      retention: config.retention.access,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const live = new apigateway.CfnStage(scope, "LinkStage", {
      apiId: api.ref,
      stageName: stage,
      autoDeploy: true,
      accessLogSettings: {
        destinationArn: accessLogs.logGroupArn,
        format: JSON.stringify({
          requestId: "$context.requestId",
          time: "$context.requestTime",
          event: "$context.eventType",
          connection: "$context.connectionId",
          status: "$context.status",
          error: "$context.error.message",
        }),
      },
      defaultRouteSettings: { throttlingRateLimit: config.throttle.rate, throttlingBurstLimit: config.throttle.burst },
    });
    for (const route of made) live.addResourceDependency(route);
    live.node.addDependency(after);
  };
  return {
    dial: `wss://${host}`,
    manage: `https://${host}`,
    connections: arn("POST/@connections/*"),
    cutOffs: arn("DELETE/@connections/*"),
    connectArn: arn("$connect"),
    connect,
  };
}
