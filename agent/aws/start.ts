import type { Clock, Log, Random } from "#base";
import { type HttpClient, httpClient } from "#client";
import { hintedClient } from "./hinted.ts";
import { startAwsLink } from "./link.ts";
import type { Relays } from "./relays.ts";
import { requestSigner, type SignerOptions } from "./sign.ts";

export interface AwsOptions extends SignerOptions {
  /** The API server's URL, down to where signed requests are taken. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  /** The authority of both's certificates, in PEM, where the machine does not trust it. */
  ca?: string;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The cluster as an agent on AWS has it. */
export interface AwsCluster {
  /** Signs every request; its watches hold nothing open. */
  client: HttpClient;
  /** Whether the cluster hears that the node lives. */
  alive(): boolean;
  /** Says who serves what clients are allowed to ask of this node: exec, attach, port-forward. */
  serve: Relays["serve"];
  stop(): Promise<void>;
}

/** A watch that a hint asked for is over after so many seconds: what it was told of is there when it begins. */
const watchSeconds = 1;

/** Connects to a cluster on AWS as the machine's role. */
export function startAws(options: AwsOptions): AwsCluster {
  const { server, clock, random, log } = options;
  const ca = options.ca === undefined ? {} : { ca: options.ca };
  const sign = requestSigner(options);
  const link = startAwsLink({ url: options.link, sign, ...ca, clock, random, log });
  const plain = httpClient({ server, ...ca, sign, clock, watchSeconds, userAgent: "skiff-agent" });
  const client = hintedClient(plain, { hints: link, clock, random, log });
  return {
    client,
    alive: link.alive,
    serve: link.relays.serve,
    async stop() {
      await link.stop();
      client.close();
    },
  };
}
