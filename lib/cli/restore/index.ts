/**
 * `skiff restore`: makes two tables fit to be served that DynamoDB has brought back to one instant. It restores no
 * table itself, touches no stack, and leaves tables alone that are in use.
 */

export type { RestoreOptions } from "./restore.ts";
export { restore } from "./restore.ts";
