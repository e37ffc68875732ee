/**
 * The disconnect of a request's client, or the stop of the host: one for each request. The signal is created on first
 * use: most requests never use it, and creating it takes longer than some responses.
 */
export class Departure {
  #controller: AbortController | undefined;
  #isOver = false;

  /** Aborts when the client has gone or the host stops. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#isOver) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  readonly leave = (): void => {
    this.#isOver = true;
    this.#controller?.abort();
  };
}

/** All requests in progress, which the host can end. */
export class Departures {
  readonly #open = new Set<Departure>();
  #isStopping = false;

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Registers a request. It must be passed to `close` after its response. */
  open(): Departure {
    const departure = new Departure();
    this.#open.add(departure);
    if (this.#isStopping) departure.leave();
    return departure;
  }

  close(departure: Departure): void {
    this.#open.delete(departure);
  }

  /** Ends all requests in progress, and all later ones. */
  stop(): void {
    this.#isStopping = true;
    for (const departure of this.#open) departure.leave();
  }
}
