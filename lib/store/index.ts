/**
 * The storage of objects: one log per type, whose entries are the resource versions. The store handles bytes, keys and
 * revisions; it knows no kind and never reads a body. The drivers have doors of their own (such as `#store/memory`) and
 * use the second group of exports here.
 */
export { type Cache, type CacheOptions, openCache } from "./cache.ts";
export { Compacted, Conflict, Exists, FutureRevision } from "./errors.ts";
export type { Follow, Listener } from "./followers.ts";
export { forwardTo } from "./forward.ts";
export { afterPrefix, compareKeys } from "./keys.ts";
export type { Change, Commit, Entry, Index, ListOptions, Page, Store, Write } from "./port.ts";
export { earlierPage, pageOf, rangeOf, rewind } from "./snapshot.ts";
export { Sorted } from "./sorted.ts";
export { Wakeups } from "./wakeups.ts";
export { checkWrites, refusal } from "./writes.ts";
