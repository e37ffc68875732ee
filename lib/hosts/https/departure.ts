/**
 * The end of a request's client, or of the host: one for each request. Most requests never ask for the signal, which
 * takes longer to make than some answers.
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

/** All requests that are being answered, for the host to end. */
export class Departures {
  readonly #open = new Set<Departure>();
  #isStopping = false;

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** A request has come. It must be given to `close` when it has been answered. */
  open(): Departure {
    const departure = new Departure();
    this.#open.add(departure);
    if (this.#isStopping) departure.leave();
    return departure;
  }

  close(departure: Departure): void {
    this.#open.delete(departure);
  }

  /** Ends what is being answered, and whatever comes. */
  stop(): void {
    this.#isStopping = true;
    for (const departure of this.#open) departure.leave();
  }
}
