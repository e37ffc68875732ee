import pc from "picocolors";
import type { Progress } from "#base";

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
