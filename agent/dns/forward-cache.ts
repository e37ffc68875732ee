import type { Clock } from "#base";
import { flagBits, type Message, type Question, type ResourceRecord, rcodeOf, rcodes, types } from "./message.ts";
import { lowerCase } from "./name.ts";
import type { Forward, ForwardedQuestion } from "./resolver.ts";

export interface ForwardCacheOptions {
  clock: Clock;
  /** Asks other servers. Never rejects. */
  exchange: Forward;
  /** The longest time that an answer is stored, in seconds. Defaults to 30, as in the usual Corefile. */
  longestTtl?: number;
  /** Answers that are stored at once. Defaults to 10,000, as in CoreDNS. */
  capacity?: number;
  /** Different questions that are asked at once; further ones are REFUSED. Defaults to 1,000, as in the usual Corefile. */
  concurrent?: number;
}

/** Seconds that every answer is stored for, failures too (CoreDNS's MinimalDefaultTTL). */
const shortestTtl = 5;

interface Stored {
  message: Message;
  /** Seconds. */
  ttl: number;
  /** Milliseconds since the epoch. */
  at: number;
}

/**
 * Stores the answers of other servers, negative ones and SERVFAIL too, as CoreDNS's cache does. The same question is
 * asked once at a time, so a question that comes back in a loop of servers ends there.
 */
export class ForwardCache {
  readonly #options: Required<ForwardCacheOptions>;
  /** The least recently used first. */
  readonly #stored = new Map<string, Stored>();
  readonly #pending = new Map<string, Promise<Message>>();

  constructor(options: ForwardCacheOptions) {
    this.#options = { longestTtl: 30, capacity: 10_000, concurrent: 1000, ...options };
  }

  readonly forward: Forward = (asked) => {
    const key = keyOf(asked);
    const stored = this.#find(key);
    if (stored) return Promise.resolve(stored);
    const pending = this.#pending.get(key);
    if (pending) return pending;
    if (this.#pending.size >= this.#options.concurrent) {
      return Promise.resolve(failureOf(asked.question, rcodes.REFUSED));
    }
    const asking = this.#ask(key, asked).finally(() => this.#pending.delete(key));
    this.#pending.set(key, asking);
    return asking;
  };

  async #ask(key: string, asked: ForwardedQuestion): Promise<Message> {
    const { clock, exchange, capacity } = this.#options;
    const message = await exchange(asked);
    const ttl = this.#ttlOf(message);
    const answer = withTtl(message, ttl);
    if (isStorable(message, asked.question)) {
      this.#stored.set(key, { message: answer, ttl, at: clock.now() });
      for (const oldest of this.#stored.keys()) {
        if (this.#stored.size <= capacity) break;
        this.#stored.delete(oldest);
      }
    }
    return answer;
  }

  #find(key: string): Message | undefined {
    const stored = this.#stored.get(key);
    if (!stored) return undefined;
    this.#stored.delete(key);
    const age = Math.floor((this.#options.clock.now() - stored.at) / 1000);
    // The clock may have been set back.
    if (age < 0 || age >= stored.ttl) return undefined;
    this.#stored.set(key, stored);
    return age === 0 ? stored.message : withTtl(stored.message, stored.ttl - age);
  }

  /** The lowest TTL of all records, within the limits. */
  #ttlOf(message: Message): number {
    const rcode = rcodeOf(message);
    const records = [...message.answers, ...message.authorities, ...message.additionals];
    if ((rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) || records.length === 0) return shortestTtl;
    const lowest = records.reduce((least, { ttl }) => Math.min(least, ttl), this.#options.longestTtl);
    return Math.min(Math.max(lowest, shortestTtl), this.#options.longestTtl);
  }
}

const keyOf = ({ question, edns, checkingDisabled }: ForwardedQuestion): string =>
  `${question.type} ${edns?.dnssec === true} ${checkingDisabled} ${lowerCase(question.name)}`;

const withTtl = (message: Message, ttl: number): Message => {
  const set = (records: readonly ResourceRecord[]) => records.map((record) => ({ ...record, ttl }));
  return {
    ...message,
    answers: set(message.answers),
    authorities: set(message.authorities),
    additionals: set(message.additionals),
  };
};

/** Not stored: parts of answers, other errors, and denials without the SOA that limits them (RFC 2308). */
function isStorable(message: Message, { type }: Question): boolean {
  if ((message.flags & flagBits.truncated) !== 0) return false;
  const rcode = rcodeOf(message);
  if (rcode === rcodes.SERVFAIL) return true;
  const hasSoa = message.authorities.some((record) => record.type === types.SOA);
  if (rcode === rcodes.NXDOMAIN) return hasSoa;
  if (rcode !== rcodes.NOERROR) return false;
  const any = 255;
  return (
    hasSoa || message.answers.length === 0 || type === any || message.answers.some((record) => record.type === type)
  );
}

/** An answer with this rcode and without records. */
export const failureOf = (question: Question, rcode: number): Message => ({
  id: 0,
  flags: flagBits.response | rcode,
  question,
  answers: [],
  authorities: [],
  additionals: [],
});
