import { type Secret, secrets } from "#api";
import { storageOf } from "#api/meta";
import { isReason, messageOf, sleep } from "#base";
import type { Client } from "#client";
import { type HintedOptions, untilMoved } from "./hinted-client.ts";

/** The gateway's URL, and the CA of its certificate, in PEM. */
export interface GatewayAddress {
  server: string;
  ca: string;
}

export interface FollowGatewayOptions extends HintedOptions {
  client: Pick<Client, "get">;
  /** Called with the gateway's address at each change; undefined while there is no gateway. */
  found(address: GatewayAddress | undefined): void;
}

/**
 * The Secret in which a gateway publishes its address for nodes. Clients find it elsewhere: anyone who can write this
 * Secret can redirect agents, and so reach every pod.
 */
const addressSecret = { namespace: "kube-system", name: "skiff-gateway-link" };

const firstPollMilliseconds = 2 * 60_000;
/** Pauses after reads that failed. */
const backoffMilliseconds = { first: 1000, longest: 5 * 60_000 };
/** Permission to read may arrive a little after the Secret: the server reads roles periodically. */
const forbiddenRetries = 4;

/**
 * Follows the address of the gateway: reads it when a hint says that a Secret of the namespace has changed, and rarely
 * without one. While the Secret does not exist, or nodes may not read it, there is no gateway; a read that fails
 * changes nothing.
 */
export function followGateway(options: FollowGatewayOptions): { stop(): Promise<void> } {
  const { client, hints, clock, log, found } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const subscription = hints.follow({ type: storageOf(secrets), namespace: addressSecret.namespace });
  let known: GatewayAddress | undefined;
  /** Resolves with false when the read has to be repeated soon. */
  const read = async (attempt: number): Promise<boolean> => {
    let address: GatewayAddress | undefined;
    let isAllowed = true;
    try {
      address = addressIn(await client.get(secrets, addressSecret));
    } catch (error) {
      isAllowed = !isReason(error, "Forbidden");
      if (isAllowed && !isReason(error, "NotFound")) {
        log.debug("the gateway's address could not be read", { error: messageOf(error) });
        return false;
      }
    }
    if (signal.aborted) return true;
    if (address?.server !== known?.server || address?.ca !== known?.ca) found(address);
    known = address;
    return isAllowed || attempt >= forbiddenRetries;
  };
  const follow = async (): Promise<void> => {
    let pause = firstPollMilliseconds;
    while (!signal.aborted) {
      // The read may miss changes that are hinted at from here on.
      let revision = subscription.hinted;
      let backoff = backoffMilliseconds.first;
      for (let attempt = 0; !(await read(attempt)); attempt++) {
        await sleep(clock, backoff, signal);
        if (signal.aborted) return;
        backoff = Math.min(backoff * 2, backoffMilliseconds.longest);
        revision = subscription.hinted;
      }
      pause = await untilMoved(subscription, { revision, pause, signal }, options);
    }
  };
  const following = follow().finally(() => subscription.close());
  return {
    async stop() {
      stopping.abort();
      await following;
    },
  };
}

/** Undefined without https and a CA: an unauthenticated server is not dialled. */
function addressIn({ data = {} }: Secret): GatewayAddress | undefined {
  const [server, ca] = ["server", "ca.crt"].map((name) => Buffer.from(data[name] ?? "", "base64").toString());
  return server?.startsWith("https://") && ca ? { server, ca } : undefined;
}
