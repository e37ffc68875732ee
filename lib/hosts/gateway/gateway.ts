import type { NodeRequest } from "#api/meta";
import { type ApiServer, refusal } from "#apiserver";
import { askSts } from "#auth/aws-iam";
import { ApiError, systemClock as clock, type Log, messageOf, systemRandom as random, type Timer } from "#base";
import { ControlPlane } from "#controlplane";
import { enqueueEarly, planeAnnouncer } from "#hosts/aws/announcer";
import { apiServerOptions } from "#hosts/aws/api-server";
import { trustedAuthorities } from "#hosts/aws/authority";
import { issueServer, openAuthority } from "#hosts/aws/authority/issuing";
import { createLinks, type Host, type Links, serve } from "#hosts/https";
import { MetricRegistry } from "#metrics";
import { processMetrics } from "#metrics/process";
import { nodeRequestText } from "#node-link";
import type { Announcer } from "#reconcile/sqs";
import { AddressPublisher } from "./address-publisher.ts";
import { type Services, services } from "./aws.ts";
import type { Environment } from "./environment.ts";
import { nodeConnections } from "./node-connections.ts";
import { taskAddress } from "./task-address.ts";

export interface Gateway {
  port: number;
  /** Ends watches and links, and resolves when everything is closed. */
  stop(): Promise<void>;
}

/**
 * Milliseconds between certificates. One is valid for thirteen weeks, so twelve more attempts follow a failed one.
 */
const renewalInterval = 7 * 24 * 3_600_000;

/** Serves the cluster's API until it is stopped. Rejects when the tables do not answer or the port is not available. */
export async function startGateway(environment: Environment, log: Log): Promise<Gateway> {
  const { SKIFF_GATEWAY_NAME: dnsName, SKIFF_PORT: port } = environment;
  const links = createLinks(log, clock);
  const { plane, aws } = openPlane({ environment, links, log });
  const [authority, address] = await Promise.all([
    openAuthority(plane.client, clock),
    taskAddress(environment.ECS_CONTAINER_METADATA_URI_V4, log),
  ]);
  const names = [dnsName, ...(address === undefined ? [] : [address])];
  const newCertificate = () => issueServer(authority, names, clock);
  const server = refuseLostTunnels(plane.server, links);
  const tls = await newCertificate();
  const host = await serve({ server, links, log, bind: "0.0.0.0", port, tls });
  const renewal = renewCertificates(host, newCertificate, log);
  const ca = authority.cert;
  const publisher = new AddressPublisher({
    client: plane.client,
    forClients: { server: `https://${dnsName}:${host.port}`, ca },
    forNodes: address === undefined ? undefined : { server: `https://${address}:${host.port}`, ca },
    clock,
    log,
  });
  await publisher.start();
  return {
    port: host.port,
    async stop() {
      renewal.cancel();
      publisher.stop();
      await host.close();
      await plane.stop();
      await aws.store.close();
    },
  };
}

interface PlaneOptions {
  environment: Environment;
  links: Links;
  log: Log;
}

function openPlane({ environment, links, log }: PlaneOptions): { plane: ControlPlane; aws: Services } {
  let announcer: Announcer | undefined;
  const aws = services({
    environment,
    clock,
    random,
    log,
    onCommit: enqueueEarly({ announcer: () => (announcer ??= planeAnnouncer(plane, aws.queues)), log, hops: () => 0 }),
  });
  const metrics = new MetricRegistry();
  processMetrics(metrics);
  const shared = apiServerOptions({
    variables: environment,
    ring: aws.ring,
    sts: askSts(environment.AWS_ENDPOINT_URL_STS),
    refuse: notLinked,
    clock,
    random,
    log,
  });
  const plane = new ControlPlane({
    ...shared,
    store: aws.store,
    clock,
    random,
    log,
    metrics,
    serviceCidr: environment.SKIFF_SERVICE_CIDR,
    podCidr: environment.SKIFF_POD_CIDR,
    ca: trustedAuthorities,
    // A type is loaded at its first use, and its log is read only for watches and requests: following one log at all
    // times would cost 33 cents a month.
    caching: "on-demand",
    links: (client) => nodeConnections({ links, fromLogs: shared.links(client), clock, log }),
  });
  return { plane, aws };
}

/** Renews the certificate of a host at regular intervals. */
function renewCertificates(
  host: Host,
  newCertificate: () => Promise<{ cert: string; key: string }>,
  log: Log,
): { cancel(): void } {
  let timer: Timer;
  const schedule = (): void => {
    timer = clock.timer(renewalInterval, () => {
      newCertificate()
        .then((certificate) => host.renew(certificate))
        .catch((error: unknown) => log.error("the certificate was not renewed", { error: messageOf(error) }));
      schedule();
    });
  };
  schedule();
  return { cancel: () => timer.cancel() };
}

function notLinked(request: NodeRequest): ApiError {
  const why = "the node's agent is not connected (logs are read from CloudWatch)";
  return new ApiError(501, "NotImplemented", `${nodeRequestText(request)} is not possible here: ${why}`);
}

/** Answers 501 to a tunnel without a link; the host could only close the connection. */
const refuseLostTunnels = (server: Pick<ApiServer, "handle">, links: Links): Pick<ApiServer, "handle"> => ({
  async handle(request) {
    const response = await server.handle(request);
    const { tunnel } = response;
    if (!tunnel || links.has(tunnel.node)) return response;
    return refusal(notLinked(tunnel.request));
  },
});
