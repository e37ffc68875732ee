import type { Clock, Log, Random } from "#base";
import { messageOf } from "#base";
import { exchange, type ServerAddress } from "./exchange.ts";
import { failureOf } from "./forward-cache.ts";
import { type Message, rcodes } from "./message.ts";
import { textOf } from "./name.ts";
import type { Forward } from "./resolver.ts";

export interface ForwarderOptions {
  clock: Clock;
  random: Random;
  log: Log;
  /** The servers of the node, in their order. */
  servers: () => Promise<ServerAddress[]>;
  /** Milliseconds for the answer of one server. Defaults to 2,000, as in CoreDNS's forward. */
  timeout?: number;
  /** Milliseconds for an answer of any server. Defaults to 5,000, as in CoreDNS's forward. */
  deadline?: number;
}

/** How often each server is asked for one question, at most. */
const rounds = 2;

/** Milliseconds for which a server that has not answered is asked last. */
const failedMilliseconds = 10_000;

/** Asks the node's own servers until one answers. */
export class Forwarder {
  readonly #options: Required<ForwarderOptions>;
  /** When servers failed to answer, in milliseconds since the epoch. */
  readonly #failed = new Map<string, number>();

  constructor(options: ForwarderOptions) {
    this.#options = { timeout: 2000, deadline: 5000, ...options };
  }

  /** SERVFAIL when no server answers, and when there is none. */
  readonly forward: Forward = async (asked): Promise<Message> => {
    const { clock, log, servers, timeout, deadline } = this.#options;
    const end = clock.now() + deadline;
    const ordered = this.#order(await servers());
    for (let index = 0; index < rounds * ordered.length; index++) {
      const left = end - clock.now();
      if (left <= 0) break;
      const server = ordered[index % ordered.length]!;
      const key = `${server.address} ${server.port}`;
      try {
        const options = { ...this.#options, timeout: Math.min(timeout, left) };
        const answer = await exchange(server, asked, options);
        this.#failed.delete(key);
        return answer;
      } catch (error) {
        this.#failed.set(key, clock.now());
        const fields = { server: server.address, name: textOf(asked.question.name), error: messageOf(error) };
        log.debug("a DNS server did not answer", fields);
      }
    }
    return failureOf(asked.question, rcodes.SERVFAIL);
  };

  #order(servers: ServerAddress[]): ServerAddress[] {
    const now = this.#options.clock.now();
    const hasFailed = ({ address, port }: ServerAddress): boolean =>
      now - (this.#failed.get(`${address} ${port}`) ?? Number.NEGATIVE_INFINITY) < failedMilliseconds;
    return [...servers.filter((server) => !hasFailed(server)), ...servers.filter(hasFailed)];
  }
}
