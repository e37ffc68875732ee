import { type Log, type LogFields, plainFields, systemClock } from "#base";

/**
 * Lines of JSON on the standard output, in the form of the functions' lines, so that one query reads both.
 */
export function lineLog(write: (line: string) => unknown): Log {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const timestamp = new Date(systemClock.now()).toISOString();
      write(`${JSON.stringify({ level, message, timestamp, service: "gateway", ...plainFields(fields) })}\n`);
    };
  return { debug: () => {}, info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}
