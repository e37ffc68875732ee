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
  /** `https://…`, for functions that push messages. */
  manage: string;
  /** The ARNs for posting to connections and for disconnecting them. */
  connections: string;
  disconnects: string;
  /** The ARN of dialling in. */
  connectArn: string;
  /** Adds its routes and its stage. Its logs need the account's role, which `after` is. */
  connect(handler: lambda.IFunction, after: IDependable): void;
}

/** IAM authorizes the connect; messages on a connection were authorized with it. */
const routes = [
  ["$connect", "AWS_IAM"],
  ["$disconnect", "NONE"],
  ["$default", "NONE"],
] as const;

/** The agents' WebSocket API. It is created before its function, which gets its address. */
export function webSocket(scope: Stack, config: Config): WebSocket {
  const api = new apigateway.CfnApi(scope, "LinkApi", {
    name: `skiff-${config.cluster}-link`,
    description: `Skiff ${config.cluster}: the agents' connections`,
    protocolType: "WEBSOCKET",
    // Every message is routed to $default; the function reads it.
    routeSelectionExpression: "$request.body.action",
  });
  const host = `${api.ref}.execute-api.${scope.region}.${scope.urlSuffix}/${stage}`;
  const arn = (route: string) =>
    scope.formatArn({
      service: "execute-api",
      resource: api.ref,
      resourceName: `${stage}/${route}`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
  return {
    dial: `wss://${host}`,
    manage: `https://${host}`,
    connections: arn("POST/@connections/*"),
    disconnects: arn("DELETE/@connections/*"),
    connectArn: arn("$connect"),
    connect: (handler, after) => {
      const routed = addRoutes(scope, api, handler);
      addStage({ scope, config, api, routes: routed }).node.addDependency(after);
    },
  };
}

/** Routes every event of the API to a function, which the API may call. */
function addRoutes(scope: Stack, api: apigateway.CfnApi, handler: lambda.IFunction): apigateway.CfnRoute[] {
  const integration = new apigateway.CfnIntegration(scope, "LinkIntegration", {
    apiId: api.ref,
    integrationType: "AWS_PROXY",
    integrationUri: `arn:${scope.partition}:apigateway:${scope.region}:lambda:path/2015-03-31/functions/${handler.functionArn}/invocations`,
  });
  const created = routes.map(
    ([routeKey, authorizationType]) =>
      new apigateway.CfnRoute(scope, `LinkRoute${routeKey.slice(1)}`, {
        apiId: api.ref,
        routeKey,
        authorizationType,
        target: `integrations/${integration.ref}`,
      }),
  );
  for (const route of created) {
    if (route.routeKey === "$connect") continue;
    acknowledge(route, { APIG4: "only $connect can have an authorizer: a connection was authorized with it" });
  }
  handler.addPermission("LinkPermission", {
    principal: new iam.ServicePrincipal("apigateway.amazonaws.com"),
    sourceArn: scope.formatArn({ service: "execute-api", resource: api.ref, resourceName: "*" }),
  });
  return created;
}

interface StageOptions {
  scope: Stack;
  config: Config;
  api: apigateway.CfnApi;
  routes: readonly apigateway.CfnRoute[];
}

function addStage({ scope, config, api, routes: routed }: StageOptions): apigateway.CfnStage {
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
  for (const route of routed) live.addResourceDependency(route);
  return live;
}
