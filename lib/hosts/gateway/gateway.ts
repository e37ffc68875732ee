import { pods } from "#api";
import type { NodeRequest } from "#api/meta";
import { type ApiServer, refusal } from "#apiserver";
import { askSts, identity } from "#auth/aws-iam";
import { ringKeys, shared, tokenAuthority } from "#auth/service-account";
import { ApiError, systemClock as clock, type Log, messageOf, systemRandom as random, type Timer } from "#base";
import { logLinks, podLogs } from "#cloud/pod-logs";
import { ControlPlane, isRoutine } from "#controlplane";
import { fargateWork, type PodEvents } from "#fargate";
import { createLinks, type Links, serve } from "#hosts/https";
import { MetricRegistry } from "#metrics";
import { processMetrics } from "#metrics/process";
import { nodeRequestText } from "#node-link";
import { announcer } from "#reconcile/sqs";
import { ownAddress } from "./address.ts";
import { services } from "./aws.ts";
import { issueServer, openAuthority } from "./certificate.ts";
import type { Environment } from "./environment.ts";
import { keepTold } from "./telling.ts";
import { ways } from "./ways.ts";

export interface Gateway {
  port: number;
  /** Ends watches and links, and resolves when everything is closed. */
  stop(): Promise<void>;
}

/** The certificate is good for thirteen weeks; one that fails to be made has twelve more tries. */
const renewal = 7 * 24 * 3_600_000;

/** Serves the cluster's API until it is stopped. Rejects when the tables do not answer or the port cannot be had. */
export async function startGateway(told: Environment, log: Log): Promise<Gateway> {
  const aws = services({
    ...{ told, clock, random, log },
    // Early, beside the stream, which tells of the same once more: what is lost here comes a moment later.
    onCommit: (type, changes) =>
      announce
        .early(type, changes, 0)
        .catch((error: unknown) => log.warn("keys could not be sent early", { type, error })),
  });
  const links = createLinks(log, clock);
  const metrics = new MetricRegistry();
  processMetrics(metrics);
  const plane = new ControlPlane({
    ...{ store: aws.store, clock, random, log, metrics },
    serviceCidr: told.SKIFF_SERVICE_CIDR,
    podCidr: told.SKIFF_POD_CIDR,
    // Only controllers hand it out, and none runs here.
    ca: "",
    // A type is kept in memory from its first use on, but its log is read only while somebody watches it or asks:
    // looking at each log all the time would cost a third of a dollar a month for each.
    caching: "on-demand",
    tokens: (client) =>
      tokenAuthority({
        keys: ringKeys({ read: aws.ring, clock, maxAge: shared.keysAge }),
        issuer: told.SKIFF_ISSUER,
        longest: shared.longestToken,
        ...{ client, clock, random },
      }),
    anonymous: "open-paths",
    authenticators: (client) =>
      identity({
        client,
        clusterId: told.SKIFF_CLUSTER_ID,
        administrator: told.SKIFF_ADMINISTRATOR,
        nodeRoles: told.SKIFF_NODE_ROLES.split(",").filter(Boolean),
        sts: askSts(told.AWS_ENDPOINT_URL_STS),
        ...{ clock, log },
      }),
    audit: (event) => {
      if (!isRoutine(event)) log.info("a request was answered", { audit: event });
    },
    links: (client) => {
      const fromLogs = logLinks({ client, logs: podLogs(), group: told.SKIFF_POD_LOG_GROUP, refuse: notLinked, clock });
      return ways({ links, fromLogs, clock, log });
    },
  });
  const seen: PodEvents = (change) => plane.resources.event(pods, change) as ReturnType<PodEvents>;
  const announce = announcer({
    router: plane.onDemand(),
    reconcile: aws.queues.reconcile,
    schedule: aws.queues.schedule,
    tasks: { queue: aws.queues.fargate, workOf: (type, change) => fargateWork(type, change, seen) },
  });
  const [authority, address] = await Promise.all([
    openAuthority(plane.client, clock),
    ownAddress(told.ECS_CONTAINER_METADATA_URI_V4, log),
  ]);
  const names = [told.SKIFF_GATEWAY_NAME, ...(address === undefined ? [] : [address])];
  const newCertificate = () => issueServer(authority, names, clock);
  const host = await serve({
    server: withoutLostTunnels(plane.server, links),
    ...{ links, log },
    bind: "0.0.0.0",
    port: told.SKIFF_PORT,
    tls: await newCertificate(),
  });
  let timer: Timer;
  const renewLater = (): void => {
    timer = clock.timer(renewal, () => {
      newCertificate()
        .then(host.renew)
        .catch((error: unknown) => log.error("the certificate was not renewed", { error: messageOf(error) }));
      renewLater();
    });
  };
  renewLater();
  const ca = authority.cert;
  const telling = await keepTold({
    ...{ client: plane.client, clock, log },
    forPeople: { server: `https://${told.SKIFF_GATEWAY_NAME}:${host.port}`, ca },
    forNodes: address === undefined ? undefined : { server: `https://${address}:${host.port}`, ca },
  });
  return {
    port: host.port,
    async stop() {
      timer.cancel();
      telling.stop();
      await host.close();
      await plane.stop();
      await aws.store.close();
    },
  };
}

function notLinked(request: NodeRequest): ApiError {
  const why = "the node's agent has not dialled in (logs are read from CloudWatch)";
  return new ApiError(501, "NotImplemented", `${nodeRequestText(request)} is not possible here: ${why}`);
}

/** Says what is missing where the host could only hang up. */
const withoutLostTunnels = (server: Pick<ApiServer, "handle">, links: Links): Pick<ApiServer, "handle"> => ({
  async handle(request) {
    const response = await server.handle(request);
    const { tunnel } = response;
    if (!tunnel || links.has(tunnel.node)) return response;
    return refusal(notLinked(tunnel.request));
  },
});
