import { createWriteStream, existsSync, renameSync, statSync, type WriteStream } from "node:fs";
import { join } from "node:path";
import { type Log, type LogFields, plainFields, systemClock } from "#base";

/** A log file grows to this many bytes before it is put aside at the next start. */
const largest = 16 * 1024 * 1024;

/** Lines of JSON in a file; with `verbose`, warnings and errors on the terminal too. */
export function fileLog(folder: string, name: string, verbose: boolean): Log & { close(): Promise<void> } {
  const path = join(folder, `${name}.log`);
  if (existsSync(path) && statSync(path).size > largest) renameSync(path, `${path}.1`);
  // A log that cannot be written, as on a full disk, must not bring down what it reports on, and goes on later.
  let stream: WriteStream | undefined;
  const open = (): WriteStream => {
    const made = createWriteStream(path, { flags: "a", mode: 0o600 });
    made.on("error", () => {
      if (stream === made) stream = undefined;
    });
    return made;
  };
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      const plain = plainFields(fields);
      const time = new Date(systemClock.now()).toISOString();
      stream ??= open();
      stream.write(`${JSON.stringify({ time, level, message, ...plain })}\n`);
      if (verbose && level !== "debug") process.stderr.write(`${level}: ${message} ${JSON.stringify(plain)}\n`);
    };
  return {
    debug: verbose ? write("debug") : () => {},
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    close: () => new Promise((resolve) => (stream ? stream.end(() => resolve()) : resolve())),
  };
}
