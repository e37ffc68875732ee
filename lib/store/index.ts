/**
 * How objects are kept: one log per type, whose entries are the resource versions. Bytes, keys and revisions only;
 * the store knows no kind and never looks into a body.
 */
export { Compacted, Conflict, Exists, FutureRevision } from "./errors.ts";
export type { Change, Commit, Entry, Index, ListOptions, Page, Store, Write } from "./port.ts";
