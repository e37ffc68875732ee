import type { Clock } from "./clock.ts";
import { type Log, type LogFields, plainFields } from "./log.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface JsonLogOptions {
  /** Writes one line, with its newline. */
  write: (line: string) => unknown;
  clock: Clock;
  /** Whether debug messages are written. Defaults to false. */
  verbose?: boolean | undefined;
  /** The fields of a line beside its message and the message's fields. Defaults to `time` and `level`. */
  envelope?: ((level: LogLevel, time: string) => LogFields) | undefined;
}

/** A log with one line of JSON for each message. */
export function jsonLog({
  write,
  clock,
  verbose = false,
  envelope = (level, time) => ({ time, level }),
}: JsonLogOptions): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      const time = new Date(clock.now()).toISOString();
      write(`${JSON.stringify({ ...envelope(level, time), message, ...plainFields(fields) })}\n`);
    };
  return { debug: verbose ? at("debug") : () => {}, info: at("info"), warn: at("warn"), error: at("error") };
}
