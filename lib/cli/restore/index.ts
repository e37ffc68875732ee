/**
 * `skiff restore`: prepares two tables, restored by DynamoDB to the same instant, to be served again. It restores no
 * table itself, changes no stack, and leaves tables in use alone.
 */

export type { RestoreOptions } from "./restore.ts";
export { restore } from "./restore.ts";
