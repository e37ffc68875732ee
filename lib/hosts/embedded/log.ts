import { createWriteStream, existsSync, renameSync, statSync, type WriteStream } from "node:fs";
import { join } from "node:path";
import { jsonLog, type Log, type LogFields, plainFields, systemClock } from "#base";

/** Bytes above which a log file is renamed at the next start. */
const largest = 16 * 1024 * 1024;

/** Lines of JSON in a file; with `verbose`, also debug messages, and all others on standard error too. */
export function fileLog(folder: string, name: string, verbose: boolean): Log & { close(): Promise<void> } {
  const path = join(folder, `${name}.log`);
  if (existsSync(path) && statSync(path).size > largest) renameSync(path, `${path}.1`);
  // A log that cannot be written, as on a full disk, must not end the process. Later messages open it again.
  let stream: WriteStream | undefined;
  const open = (): WriteStream => {
    const opened = createWriteStream(path, { flags: "a", mode: 0o600 });
    opened.on("error", () => {
      if (stream === opened) stream = undefined;
    });
    return opened;
  };
  const lines = jsonLog({
    write: (line) => {
      stream ??= open();
      stream.write(line);
    },
    clock: systemClock,
    verbose,
  });
  const at =
    (level: "info" | "warn" | "error") =>
    (message: string, fields: LogFields = {}) => {
      lines[level](message, fields);
      if (verbose) process.stderr.write(`${level}: ${message} ${JSON.stringify(plainFields(fields))}\n`);
    };
  return {
    debug: lines.debug,
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    close: () => new Promise((resolve) => (stream ? stream.end(() => resolve()) : resolve())),
  };
}
