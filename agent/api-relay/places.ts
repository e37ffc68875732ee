export interface PlacesOptions {
  total: number;
  /** The most of one address, so that one pod leaves places to the others. */
  each: number;
}

/** A limited number of places, of which each address has only a part. */
export class Places {
  readonly #options: PlacesOptions;
  readonly #taken = new Map<string, number>();
  #count = 0;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Takes a place for an address; false where there is none. */
  take(address: string): boolean {
    const own = this.#taken.get(address) ?? 0;
    if (own >= this.#options.each || this.#count >= this.#options.total) return false;
    this.#taken.set(address, own + 1);
    this.#count++;
    return true;
  }

  /** Gives a place back that was taken. */
  free(address: string): void {
    const own = (this.#taken.get(address) ?? 1) - 1;
    if (own === 0) this.#taken.delete(address);
    else this.#taken.set(address, own);
    this.#count--;
  }
}
