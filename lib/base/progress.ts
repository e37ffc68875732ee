/** The progress of a long operation: a line per step, in place on a terminal. */
export interface Progress {
  step(what: string): void;
  /** The step that was under way is done. */
  done(detail?: string): void;
  note(text: string): void;
  fail(text: string): void;
}
