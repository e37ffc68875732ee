export type LogFields = Record<string, unknown>;

/** The log. Messages are constant sentences; variable data goes into the fields. It never holds a secret. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const nothing = () => {};

export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Fields as a line can carry them: errors by their message, since services' own carry requests, and those carry data. */
export const plainFields = (fields: LogFields = {}): LogFields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? messageOf(value) : value]),
  );

/** The readable part of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
