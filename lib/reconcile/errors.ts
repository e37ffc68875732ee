/** A retry cannot succeed until something changes: the key is not retried. */
export class Terminal extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Terminal";
  }
}

/** Not yet possible: retried after this many milliseconds, without counting as a failure. */
export class RetryAfter extends Error {
  readonly milliseconds: number;
  constructor(milliseconds: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryAfter";
    this.milliseconds = milliseconds;
  }
}
