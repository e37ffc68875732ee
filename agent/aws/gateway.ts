import { type Secret, secrets } from "#api";
import { storageOf } from "#api/meta";
import { isReason, messageOf, sleep } from "#base";
import type { Client } from "#client";
import { type HintedOptions, untilMoved } from "./hinted.ts";

/** Where the cluster's gateway is dialled, and the authority of its certificate, in PEM. */
export interface GatewayPlace {
  server: string;
  ca: string;
}

export interface FollowGatewayOptions extends HintedOptions {
  client: Pick<Client, "get">;
  /** Hears where the gateway is, at each change; undefined while there is none. */
  found(place: GatewayPlace | undefined): void;
}

/**
 * Where a gateway writes down for nodes where it is. Not where people find it: whoever may write here says to whom
 * agents open their pods.
 */
const kept = { namespace: "kube-system", name: "skiff-gateway-link" };

const firstPoll = 2 * 60_000;
/** A look that failed. */
const failing = { first: 1000, longest: 5 * 60_000 };
/** The right to look may come a little after what there is to see: the server reads roles now and then. */
const lateRights = 4;

/**
 * Follows where the gateway is, if there is one: looks when a hint says that something has moved there, and rarely
 * without one. One that has not come yet, or that nodes may not see, is none; a look that fails changes nothing.
 */
export function followGateway(options: FollowGatewayOptions): { stop(): Promise<void> } {
  const { client, hints, clock, log, found } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const interest = hints.follow({ type: storageOf(secrets), namespace: kept.namespace });
  let known: GatewayPlace | undefined;
  /** Whether there is no reason to look again soon. */
  const look = async (attempt: number): Promise<boolean> => {
    let place: GatewayPlace | undefined;
    let isAllowed = true;
    try {
      place = placeIn(await client.get(secrets, kept));
    } catch (error) {
      isAllowed = !isReason(error, "Forbidden");
      if (isAllowed && !isReason(error, "NotFound")) {
        log.debug("where the gateway is could not be read", { error: messageOf(error) });
        return false;
      }
    }
    if (signal.aborted) return true;
    if (place?.server !== known?.server || place?.ca !== known?.ca) found(place);
    known = place;
    return isAllowed || attempt >= lateRights;
  };
  const follow = async (): Promise<void> => {
    let pause = firstPoll;
    while (!signal.aborted) {
      // What is hinted at from here on, the look may have missed.
      let revision = interest.hinted;
      let backoff = failing.first;
      for (let attempt = 0; !(await look(attempt)); attempt++) {
        await sleep(clock, backoff, signal);
        if (signal.aborted) return;
        backoff = Math.min(backoff * 2, failing.longest);
        revision = interest.hinted;
      }
      pause = await untilMoved(interest, revision, pause, signal, options);
    }
  };
  const following = follow().finally(() => interest.close());
  return {
    async stop() {
      stopping.abort();
      await following;
    },
  };
}

/** Nothing is dialled that cannot be checked. */
function placeIn({ data = {} }: Secret): GatewayPlace | undefined {
  const [server, ca] = ["server", "ca.crt"].map((name) => Buffer.from(data[name] ?? "", "base64").toString());
  return server?.startsWith("https://") && ca ? { server, ca } : undefined;
}
