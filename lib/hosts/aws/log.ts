import { Logger } from "@aws-lambda-powertools/logger";
import { type Log, plainFields } from "#base";

/** Structured lines by Powertools, which reads level and service from environment variables. */
export const logger = new Logger();

export const log: Log = {
  debug: (message, fields) => logger.debug(message, plainFields(fields)),
  info: (message, fields) => logger.info(message, plainFields(fields)),
  warn: (message, fields) => logger.warn(message, plainFields(fields)),
  error: (message, fields) => logger.error(message, plainFields(fields)),
};
