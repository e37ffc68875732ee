import type { RegistryCredentials } from "#agent/runtime";
import { credentialsOf, requestSigner, type SignerOptions } from "#aws/request-signer";
import type { Clock, Log, Random } from "#base";
import { type HttpClient, httpClient } from "#client";
import { followGateway, type GatewayAddress } from "./gateway.ts";
import { hintedClient } from "./hinted-client.ts";
import { AwsLink } from "./link.ts";
import { registryCredentials } from "./registry.ts";
import type { Serve } from "./relays.ts";
import { tokenMaker } from "./token.ts";

export interface AwsOptions extends SignerOptions {
  /** The API server's URL, with the path of signed requests. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  /** The CA of the certificates of both, in PEM. Absent: the CAs that the machine trusts. */
  ca?: string | undefined;
  /** The cluster may have a gateway, which accepts tokens for this cluster id. */
  gateway?: { clusterId: string } | undefined;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The address of the cluster's gateway, and the credentials for it. */
export interface GatewayAccess {
  /** Calls `found` with its address at each change; undefined while there is no gateway. */
  follow(found: (address: GatewayAddress | undefined) => void): { stop(): Promise<void> };
  /** The headers of a connection. Rejects when the machine has no credentials. */
  headers(): Promise<Record<string, string>>;
}

/** A cluster on AWS, as its agents use it. */
export interface AwsCluster {
  /** Signs every request; its watches hold no connection open. */
  client: HttpClient;
  /** Whether the cluster knows by the link that the node is alive. */
  alive(): boolean;
  /** Sets the server of clients' authorized requests to this node: exec, attach, port-forward. */
  serve(serve: Serve): void;
  /** Only where there may be a gateway. */
  gateway: GatewayAccess | undefined;
  /** The machine's role's credentials for an image: see `registryCredentials`. */
  registryCredentials(reference: string): Promise<RegistryCredentials | undefined>;
  stop(): Promise<void>;
}

/** A watch after a hint ends after so many seconds: the change can be read when it begins. */
const watchSeconds = 1;

/** Connects to a cluster on AWS as the machine's role. */
export function startAws(options: AwsOptions): AwsCluster {
  const { server, region, clock, random, log } = options;
  const { ca } = options;
  // One provider for everything that is signed, so that its cache is shared.
  const signing = { region, credentials: credentialsOf(options) };
  const sign = requestSigner(signing);
  const link = new AwsLink({ url: options.link, sign, ca, clock, random, log });
  const plain = httpClient({
    server,
    ...(ca === undefined ? {} : { ca }),
    sign,
    clock,
    watchSeconds,
    userAgent: "skiff-agent",
  });
  const client = hintedClient(plain, { hints: link, clock, random, log });
  const gatewayAccess = ({ clusterId }: { clusterId: string }): GatewayAccess => {
    const token = tokenMaker({ ...signing, clusterId, clock });
    return {
      follow: (found) => followGateway({ client: plain, hints: link, found, clock, random, log }),
      headers: async () => ({ authorization: `Bearer ${await token()}` }),
    };
  };
  return {
    client,
    gateway: options.gateway && gatewayAccess(options.gateway),
    alive: () => link.alive(),
    serve: (serve) => link.relays.serve(serve),
    registryCredentials: registryCredentials({ ...signing, clock }),
    async stop() {
      await link.stop();
      client.close();
    },
  };
}
