import type { Endpoint } from "../endpoints.ts";

/** Chooses the endpoint of each client: in turn, or the same one again within the affinity's time. */
export class EndpointChoice {
  #endpoints: readonly Endpoint[] = [];
  #affinityMilliseconds = 0;
  #next = 0;
  /** The endpoint of each client and when it was last used, the longest unused one first. */
  readonly #clients = new Map<string, { endpoint: string; at: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  set(endpoints: readonly Endpoint[], affinitySeconds: number): void {
    this.#endpoints = endpoints;
    this.#affinityMilliseconds = affinitySeconds * 1000;
    if (affinitySeconds === 0) this.#clients.clear();
  }

  has({ ip, port }: Endpoint): boolean {
    return this.#endpoints.some((each) => each.ip === ip && each.port === port);
  }

  /** All endpoints in the order in which to try them; the first is noted as the client's. */
  pick(client: string): Endpoint[] {
    const now = this.#now();
    for (const [known, { at }] of this.#clients) {
      if (now - at < this.#affinityMilliseconds) break;
      this.#clients.delete(known);
    }
    const noted = this.#clients.get(client);
    const own = this.#endpoints.findIndex((endpoint) => keyOf(endpoint) === noted?.endpoint);
    const first = own >= 0 ? own : this.#next++ % Math.max(1, this.#endpoints.length);
    const order = [...this.#endpoints.slice(first), ...this.#endpoints.slice(0, first)];
    if (order[0]) this.note(client, order[0]);
    return order;
  }

  /** The client has reached this endpoint. */
  note(client: string, endpoint: Endpoint): void {
    if (this.#affinityMilliseconds === 0) return;
    this.#clients.delete(client);
    this.#clients.set(client, { endpoint: keyOf(endpoint), at: this.#now() });
  }
}

const keyOf = ({ ip, port }: Endpoint): string => `${ip} ${port}`;
