import { type Log, type LogFields, messageOf, systemClock } from "#base";

/**
 * Lines of JSON on the standard output, in the form of the functions' lines, so that one query reads both. Errors among
 * the fields are told by their message: the service's own carry requests, and those carry data.
 */
export function lineLog(write: (line: string) => unknown): Log {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const told = Object.entries(fields).map(([key, value]) => [
        key,
        value instanceof Error ? messageOf(value) : value,
      ]);
      const timestamp = new Date(systemClock.now()).toISOString();
      write(`${JSON.stringify({ level, message, timestamp, service: "gateway", ...Object.fromEntries(told) })}\n`);
    };
  return { debug: () => {}, info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}
