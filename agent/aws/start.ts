import type { RegistryCredentials } from "#agent/runtime";
import { credentialsOf, requestSigner, type SignerOptions } from "#aws/request-signer";
import type { Clock, Log, Random } from "#base";
import { type HttpClient, httpClient } from "#client";
import { followGateway, type GatewayPlace } from "./gateway.ts";
import { hintedClient } from "./hinted.ts";
import { startAwsLink } from "./link.ts";
import { registryCredentials } from "./registry.ts";
import type { Relays } from "./relays.ts";
import { tokenMaker } from "./token.ts";

export interface AwsOptions extends SignerOptions {
  /** The API server's URL, down to where signed requests are taken. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  /** The authority of both's certificates, in PEM, where the machine does not trust it. */
  ca?: string;
  /** There may be a gateway, which takes tokens that are made for this cluster. */
  gateway?: { clusterId: string };
  clock: Clock;
  random: Random;
  log: Log;
}

/** Where the cluster's gateway is, and what it takes. */
export interface GatewayWay {
  /** Tells where it is, at each change; undefined while there is none. */
  follow(found: (place: GatewayPlace | undefined) => void): { stop(): Promise<void> };
  /** What a dial shows. Rejects when the machine has no credentials. */
  headers(): Promise<Record<string, string>>;
}

/** The cluster as an agent on AWS has it. */
export interface AwsCluster {
  /** Signs every request; its watches hold nothing open. */
  client: HttpClient;
  /** Whether the cluster hears that the node lives. */
  alive(): boolean;
  /** Says who serves what clients are allowed to ask of this node: exec, attach, port-forward. */
  serve: Relays["serve"];
  /** Only where there may be one. */
  gateway?: GatewayWay;
  /** What the machine's role pulls an image with: see `registryCredentials`. */
  registryCredentials(reference: string): Promise<RegistryCredentials | undefined>;
  stop(): Promise<void>;
}

/** A watch that a hint asked for is over after so many seconds: what it was told of is there when it begins. */
const watchSeconds = 1;

/** Connects to a cluster on AWS as the machine's role. */
export function startAws(options: AwsOptions): AwsCluster {
  const { server, region, clock, random, log } = options;
  const ca = options.ca === undefined ? {} : { ca: options.ca };
  // One for all that is signed: who keeps credentials asks for them.
  const signing = { region, credentials: credentialsOf(options) };
  const sign = requestSigner(signing);
  const link = startAwsLink({ url: options.link, sign, ...ca, clock, random, log });
  const plain = httpClient({ server, ...ca, sign, clock, watchSeconds, userAgent: "skiff-agent" });
  const client = hintedClient(plain, { hints: link, clock, random, log });
  const way = ({ clusterId }: { clusterId: string }): GatewayWay => {
    const token = tokenMaker({ ...signing, clusterId, clock });
    return {
      follow: (found) => followGateway({ client: plain, hints: link, found, clock, random, log }),
      headers: async () => ({ authorization: `Bearer ${await token()}` }),
    };
  };
  return {
    client,
    ...(options.gateway ? { gateway: way(options.gateway) } : {}),
    alive: link.alive,
    serve: link.relays.serve,
    registryCredentials: registryCredentials({ ...signing, clock }),
    async stop() {
      await link.stop();
      client.close();
    },
  };
}
