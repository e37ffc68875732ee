import {
  aws_certificatemanager as acm,
  aws_apigateway as apigateway,
  CfnOutput,
  CustomResource,
  Duration,
  aws_iam as iam,
  aws_logs as logs,
  RemovalPolicy,
  aws_route53 as route53,
  aws_route53_targets as route53Targets,
  type Stack,
} from "aws-cdk-lib";
import type { Bundles } from "../bundle.ts";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { onEvents } from "../constructs/events.ts";
import { type ClusterFunction, houseFunction } from "../constructs/function.ts";
import { webSocket } from "../constructs/web-socket.ts";
import { kubeconfigCommand } from "../kubeconfig.ts";
import { type Parts, partOf } from "../parts.ts";

/** The stage's name, in one place: the API's address must be known before the stage exists. */
export const restStage = "live";

export interface Api {
  rest: apigateway.RestApi;
  functions: ClusterFunction[];
  nodeRole: iam.Role;
  /** `wss://…`: the agents' endpoint. */
  dial: string;
  /** The ARN of dialling in. */
  connectArn: string;
  endpoint: string;
}

export interface ApiOptions {
  config: Config;
  bundles: Bundles;
  parts: Parts;
  /** Changes whenever the bootstrap must run again. */
  version: string;
}

/** The entry points: the REST API, the agents' WebSocket API, and the bootstrap of the cluster. */
export function apiStack(stack: Stack, options: ApiOptions): Api {
  const { config, parts } = options;
  // Only EC2 may assume it, so the session name is the instance's id, which is the node's name.
  const nodeRole = new iam.Role(stack, "NodeRole", {
    assumedBy: new iam.ServicePrincipal("ec2.amazonaws.com"),
    description: `Skiff ${config.cluster}: the role of nodes`,
  });
  parts.environment.SKIFF_NODE_ROLES = nodeRole.roleArn;
  const rest = restApi(stack, config);
  const endpoint = config.domain
    ? `https://${config.domain.name}`
    : `https://${rest.restApiId}.execute-api.${stack.region}.${stack.urlSuffix}/${restStage}`;
  parts.environment.SKIFF_ENDPOINT = endpoint;

  const socket = webSocket(stack, config);
  parts.environment.SKIFF_LINK_URL = socket.manage;
  parts.arns.connections = socket.connections;
  parts.arns.disconnects = socket.disconnects;

  const api = houseFunction(stack, "api", options);
  const link = houseFunction(stack, "link", options);
  const bootstrap = houseFunction(stack, "bootstrap", options);
  routes(rest, api);
  socket.connect(link.lambda, rest.node.findChild("Account"));
  onEvents(stack, link, parts);

  if (config.domain) customDomain(stack, config, rest);
  new CustomResource(stack, "Birth", {
    resourceType: "Custom::SkiffBootstrap",
    serviceToken: bootstrap.lambda.functionArn,
    serviceTimeout: Duration.minutes(10),
    properties: {
      version: options.version,
      issuer: partOf(parts.environment, "SKIFF_ISSUER"),
      administrator: config.administrator,
      serviceCidr: config.serviceCidr,
      data: config.data,
    },
  });
  outputs(stack, config, { endpoint, dial: socket.dial, id: partOf(parts.environment, "SKIFF_CLUSTER_ID") });
  return {
    rest,
    functions: [api, link, bootstrap],
    nodeRole,
    dial: socket.dial,
    connectArn: socket.connectArn,
    endpoint,
  };
}

function outputs(stack: Stack, { cluster, region }: Config, to: { endpoint: string; dial: string; id: string }): void {
  new CfnOutput(stack, "Endpoint", { value: to.endpoint, description: "The Kubernetes API" });
  new CfnOutput(stack, "ClusterId", { value: to.id, description: "The audience of tokens" });
  new CfnOutput(stack, "Dial", { value: to.dial, description: "The agents' WebSocket API" });
  new CfnOutput(stack, "Kubeconfig", {
    value: kubeconfigCommand({ cluster, region, server: to.endpoint, clusterId: to.id }),
    description: "Run this to use kubectl",
  });
}

/** The logged fields of a request: nothing confidential. */
const accessLog = apigateway.AccessLogFormat.custom(
  JSON.stringify({
    requestId: apigateway.AccessLogField.contextRequestId(),
    time: apigateway.AccessLogField.contextRequestTime(),
    method: apigateway.AccessLogField.contextHttpMethod(),
    path: apigateway.AccessLogField.contextPath(),
    status: apigateway.AccessLogField.contextStatus(),
    latency: apigateway.AccessLogField.contextResponseLatency(),
    bytes: apigateway.AccessLogField.contextResponseLength(),
    source: apigateway.AccessLogField.contextIdentitySourceIp(),
    error: apigateway.AccessLogField.contextErrorMessage(),
  }),
);

function restApi(stack: Stack, config: Config): apigateway.RestApi {
  const accessLogs = new logs.LogGroup(stack, "AccessLogs", {
    retention: config.retention.access,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const rest = new apigateway.RestApi(stack, "Rest", {
    restApiName: `skiff-${config.cluster}`,
    description: `Skiff ${config.cluster}: the Kubernetes API`,
    endpointTypes: [apigateway.EndpointType.REGIONAL],
    binaryMediaTypes: ["*/*"],
    cloudWatchRole: true,
    // The account has one such role for all its APIs, and another cluster may use it.
    cloudWatchRoleRemovalPolicy: RemovalPolicy.RETAIN,
    disableExecuteApiEndpoint: config.domain !== undefined,
    deployOptions: {
      stageName: restStage,
      tracingEnabled: true,
      accessLogDestination: new apigateway.LogGroupLogDestination(accessLogs),
      accessLogFormat: accessLog,
      throttlingRateLimit: config.throttle.rate,
      throttlingBurstLimit: config.throttle.burst,
    },
  });
  acknowledge(rest, {
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]":
      "the account's role for API Gateway's logs is the one that AWS describes",
    APIG2: "the API server validates requests, and answers as Kubernetes does",
    APIG3: "a web ACL sees no streamed body and costs more than the cluster; the throttle is the limit",
    APIG4: "clients of Kubernetes send bearer tokens, which the API server verifies; /iam has AWS_IAM",
    APIG6: "access logs record requests; execution logs would contain bodies",
    COG4: "identities are IAM's, not Cognito's",
  });
  for (const [id, type, status, reason] of failures) {
    rest.addGatewayResponse(id, {
      type,
      templates: {
        "application/json": `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":$context.error.messageString,"reason":"${reason}","code":${status}}`,
      },
    });
  }
  return rest;
}

/** What API Gateway answers by itself, said as the API server would say it. */
const failures = [
  ["Unauthorized", apigateway.ResponseType.UNAUTHORIZED, 401, "Unauthorized"],
  ["Forbidden", apigateway.ResponseType.ACCESS_DENIED, 403, "Forbidden"],
  ["Unsigned", apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, 403, "Forbidden"],
  ["Expired", apigateway.ResponseType.EXPIRED_TOKEN, 403, "Forbidden"],
  ["BadSignature", apigateway.ResponseType.INVALID_SIGNATURE, 403, "Forbidden"],
  ["TooLarge", apigateway.ResponseType.REQUEST_TOO_LARGE, 413, "RequestEntityTooLarge"],
  ["Throttled", apigateway.ResponseType.THROTTLED, 429, "TooManyRequests"],
  ["Timeout", apigateway.ResponseType.INTEGRATION_TIMEOUT, 504, "Timeout"],
  ["Failed", apigateway.ResponseType.INTEGRATION_FAILURE, 504, "InternalError"],
] as const;

/** Four resources, one method each, one function, one permission: a policy of one per method would be too long. */
function routes(rest: apigateway.RestApi, { lambda }: ClusterFunction): void {
  const integration = new apigateway.LambdaIntegration(lambda, {
    responseTransferMode: apigateway.ResponseTransferMode.STREAM,
    scopePermissionToMethod: false,
    timeout: Duration.minutes(15),
  });
  const open = { authorizationType: apigateway.AuthorizationType.NONE };
  const signed = { authorizationType: apigateway.AuthorizationType.IAM };
  rest.root.addMethod("ANY", integration, open);
  rest.root.addResource("{proxy+}").addMethod("ANY", integration, open);
  const byIam = rest.root.addResource("iam");
  byIam.addMethod("ANY", integration, signed);
  byIam.addResource("{proxy+}").addMethod("ANY", integration, signed);
}

function customDomain(stack: Stack, config: Config, rest: apigateway.RestApi): void {
  const { name, certificate, zone } = config.domain!;
  const domain = new apigateway.DomainName(stack, "Domain", {
    domainName: name,
    certificate: acm.Certificate.fromCertificateArn(stack, "Certificate", certificate),
    endpointType: apigateway.EndpointType.REGIONAL,
    securityPolicy: apigateway.SecurityPolicy.TLS_1_2,
  });
  new apigateway.CfnBasePathMapping(stack, "DomainMapping", {
    domainName: domain.domainName,
    restApiId: rest.restApiId,
    stage: rest.deploymentStage.stageName,
  });
  if (!zone) {
    new CfnOutput(stack, "DomainTarget", {
      value: domain.domainNameAliasDomainName,
      description: `Point ${name} here`,
    });
    return;
  }
  new route53.ARecord(stack, "Record", {
    zone: route53.HostedZone.fromHostedZoneAttributes(stack, "Zone", { hostedZoneId: zone.id, zoneName: zone.name }),
    recordName: `${name}.`,
    target: route53.RecordTarget.fromAlias(new route53Targets.ApiGatewayDomain(domain)),
  });
}
