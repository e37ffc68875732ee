/** What a person sees while something long goes on: a line per step, on the terminal in place. */
export interface Progress {
  step(what: string): void;
  /** The step that was under way is done. */
  done(detail?: string): void;
  note(text: string): void;
  fail(text: string): void;
}
