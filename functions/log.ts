import { Logger } from "@aws-lambda-powertools/logger";
import { type Log, plainFields } from "#base";

/** Structured lines by Powertools; level and service come from its own environment variables. */
export const logger = new Logger();

export const logger = new Logger();

/** Errors among the fields are told by their message: the service's own carry requests, and those carry data. */
const told = (fields: LogFields = {}): LogFields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? messageOf(value) : value]),
  );

export const log: Log = {
  debug: (message, fields) => logger.debug(message, plainFields(fields)),
  info: (message, fields) => logger.info(message, plainFields(fields)),
  warn: (message, fields) => logger.warn(message, plainFields(fields)),
  error: (message, fields) => logger.error(message, plainFields(fields)),
};
