import { request } from "node:https";
import type { Clock, Log, Timer } from "#base";
import type { Client } from "#client";
import { type Endpoint, nodesEndpoint, publishToClients, publishToNodes } from "./certificate.ts";

export interface AddressPublisherOptions {
  client: Client;
  /** The gateway's endpoint for clients. */
  forClients: Endpoint;
  /** The endpoint to which agents connect, this task's; undefined when its own address is unknown. */
  forNodes: Endpoint | undefined;
  /** Whether a gateway answers at an endpoint. */
  answers?: (endpoint: Endpoint) => Promise<boolean>;
  clock: Clock;
  log: Log;
}

/** Milliseconds between checks, and until a failed attempt is repeated. */
const interval = 60_000;
/** Failed checks of another gateway after which its endpoint is replaced. */
const failedChecks = 3;
/** Milliseconds. */
const requestTimeout = 3000;

/**
 * Publishes where the gateway is, and repairs that later: when a deployment is rolled back, the new task has published
 * its address and is gone, and only the old task can replace it.
 */
export class AddressPublisher {
  readonly #options: AddressPublisherOptions;
  #timer: Timer | undefined;
  #isStopped = false;
  #isPublished = false;
  #failures = 0;

  constructor(options: AddressPublisherOptions) {
    this.#options = options;
  }

  /** Resolves after the first attempt, which is repeated later if it fails. */
  async start(): Promise<void> {
    const { forNodes, clock, log } = this.#options;
    try {
      if (!this.#isPublished) await this.#publish();
      else if (forNodes) await this.#check(forNodes);
    } catch (error) {
      // The gateway still serves clients that know its address.
      log.warn("the gateway's address could not be published or checked", { error });
    }
    if (!this.#isStopped) this.#timer = clock.timer(interval, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #publish(): Promise<void> {
    const { client, forClients, forNodes } = this.#options;
    await publishToClients(client, forClients);
    if (forNodes) await publishToNodes(client, forNodes);
    this.#isPublished = true;
  }

  /** Replaces the endpoint that nodes have if it is missing, or no gateway has answered there for some checks. */
  async #check(own: Endpoint): Promise<void> {
    const { client, log, answers = answersAt } = this.#options;
    const published = await nodesEndpoint(client);
    const isGood = published && (published.server === own.server || (await answers(published)));
    this.#failures = isGood ? 0 : this.#failures + 1;
    if (published && this.#failures < failedChecks) return;
    await publishToNodes(client, own);
    this.#failures = 0;
    log.warn("nodes get this gateway's address: the published one does not answer", { published: published?.server });
  }
}

/** Whether a server with a certificate of the endpoint's CA answers there. */
export const answersAt = ({ server, ca }: Endpoint): Promise<boolean> =>
  new Promise<boolean>((done) => {
    const signal = AbortSignal.timeout(requestTimeout);
    const sent = request(`${server}/livez`, { ca, agent: false, signal }, (response) => {
      response.resume();
      done(true);
    });
    sent.on("error", () => done(false)).end();
    // A malformed address or CA throws at once.
  }).catch(() => false);
