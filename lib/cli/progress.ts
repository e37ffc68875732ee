import pc from "picocolors";

/** What a person sees while something long goes on: a line per step, on the terminal in place. */
export interface Progress {
  step(what: string): void;
  /** The step that was under way is done. */
  done(detail?: string): void;
  note(text: string): void;
  fail(text: string): void;
}

/** Writes progress to a stream (stderr). Without a terminal each finished step is one plain line. */
export function createProgress(out: NodeJS.WriteStream): Progress {
  let current: string | undefined;
  const clear = () => {
    if (out.isTTY && current !== undefined) out.write("\r\x1b[2K");
  };
  return {
    step(what) {
      current = what;
      if (out.isTTY) out.write(`${pc.dim("·")} ${what} …`);
    },
    done(detail) {
      if (current === undefined) return;
      clear();
      out.write(`${pc.green("✓")} ${current}${detail === undefined ? "" : pc.dim(` ${detail}`)}\n`);
      current = undefined;
    },
    note(text) {
      clear();
      out.write(`${text}\n`);
      if (out.isTTY && current !== undefined) out.write(`${pc.dim("·")} ${current} …`);
    },
    fail(text) {
      clear();
      current = undefined;
      out.write(`${pc.red("✗")} ${text}\n`);
    },
  };
}
