import type { Pod } from "#api";
import { type Clock, type Log, messageOf, type Random } from "#base";
import { VolumeError } from "./error.ts";

/** The token of a projected volume. */
export interface VolumeToken {
  /** Defaults to the API server. */
  audience?: string | undefined;
  expirationSeconds: number;
}

/** `expires` is in milliseconds since the epoch. */
export interface IssuedToken {
  token: string;
  expires: number;
}

/** Tokens of pods' service accounts, each cached until it has to be renewed. */
export interface PodTokens {
  /** Rejects with VolumeError when the request fails and no valid token is cached. */
  get(pod: Pod, token: VolumeToken): Promise<IssuedToken>;
  /** Drops the tokens of a deleted pod. */
  forget(uid: string): void;
}

export interface TokensOptions {
  /** Requests a token that is bound to the pod. */
  request: (pod: Pod, token: VolumeToken) => Promise<IssuedToken>;
  clock: Clock;
  random: Random;
  log: Log;
}

interface CachedToken extends IssuedToken {
  refreshAt: number;
}

/** A token is renewed after a day, whatever its expiry. */
const maxAgeMilliseconds = 24 * 3_600_000;
/** Spreads the requests of all agents. */
const jitterMilliseconds = 10_000;

/** Renews a token after four fifths of its lifetime or a day, whichever is first, as upstream's token manager does. */
export function podTokens({ request, clock, random, log }: TokensOptions): PodTokens {
  const cached = new Map<string, Map<string, CachedToken>>();
  return {
    async get(pod, requested) {
      const { uid = "", namespace, name } = pod.metadata;
      const own = cached.get(uid) ?? new Map<string, CachedToken>();
      cached.set(uid, own);
      const key = JSON.stringify([requested.audience ?? "", requested.expirationSeconds, pod.spec?.serviceAccountName]);
      const known = own.get(key);
      const now = clock.now();
      if (known && now < known.refreshAt) return known;
      try {
        const { token, expires } = await request(pod, requested);
        const jitter = random.fraction() * jitterMilliseconds;
        const refreshAt = Math.min(now + (expires - now) * 0.8, now + maxAgeMilliseconds) - jitter;
        own.set(key, { token, expires, refreshAt });
        return { token, expires };
      } catch (error) {
        if (!known || now >= known.expires) {
          throw new VolumeError(`failed to fetch token: ${messageOf(error)}`, { cause: error });
        }
        log.warn("a token could not be renewed; the present one is used until it expires", {
          namespace,
          pod: name,
          error,
        });
        return known;
      }
    },
    forget: (uid) => void cached.delete(uid),
  };
}
