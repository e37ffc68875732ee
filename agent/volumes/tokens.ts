import type { Pod } from "#api";
import { type Clock, type Log, messageOf, type Random } from "#base";
import { VolumeError } from "./error.ts";

/** What a volume asks for its pod. */
export interface TokenAsked {
  /** Absent: the API server. */
  audience?: string | undefined;
  expirationSeconds: number;
}

/** Tokens of pods' accounts, each kept until it is time for a new one. */
export interface PodTokens {
  /** Rejects with VolumeError where none is to be had and none that is at hand still holds. */
  get(pod: Pod, asked: TokenAsked): Promise<string>;
  /** Forgets those of a pod that is gone. */
  forget(uid: string): void;
}

export interface TokensOptions {
  /** Asks the API for a token that is bound to the pod. `expires` in milliseconds. */
  request: (pod: Pod, asked: TokenAsked) => Promise<{ token: string; expires: number }>;
  clock: Clock;
  random: Random;
  log: Log;
}

interface Kept {
  token: string;
  expires: number;
  refreshAt: number;
}

/** No token is used for longer, whatever its end. Milliseconds. */
const oldest = 24 * 3_600_000;
/** So that not all agents ask at once. */
const spread = 10_000;

/** Renews after four fifths of a token's life or a day, whatever comes first, as upstream's token manager does. */
export function podTokens({ request, clock, random, log }: TokensOptions): PodTokens {
  const kept = new Map<string, Map<string, Kept>>();
  return {
    async get(pod, asked) {
      const { uid = "", namespace, name } = pod.metadata;
      const own = kept.get(uid) ?? new Map<string, Kept>();
      kept.set(uid, own);
      const key = JSON.stringify([asked.audience ?? "", asked.expirationSeconds, pod.spec?.serviceAccountName]);
      const known = own.get(key);
      const now = clock.now();
      if (known && now < known.refreshAt) return known.token;
      try {
        const { token, expires } = await request(pod, asked);
        const jitter = random.fraction() * spread;
        const refreshAt = Math.min(now + (expires - now) * 0.8, now + oldest) - jitter;
        own.set(key, { token, expires, refreshAt });
        return token;
      } catch (error) {
        if (!known || now >= known.expires) {
          throw new VolumeError(`failed to fetch token: ${messageOf(error)}`, { cause: error });
        }
        log.warn("a token could not be renewed and is used for a while yet", { namespace, pod: name, error });
        return known.token;
      }
    },
    forget: (uid) => void kept.delete(uid),
  };
}
