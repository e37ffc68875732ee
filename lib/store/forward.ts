import type { Store } from "./port.ts";

/** A store's methods as a plain object, of which some can be replaced: `{ ...forwardTo(store), get: … }`. */
export const forwardTo = (store: Store): Store => ({
  get: (type, key) => store.get(type, key),
  head: (type) => store.head(type),
  list: (type, options) => store.list(type, options),
  commit: (type, writes) => store.commit(type, writes),
  changes: (type, after, limit) => store.changes(type, after, limit),
  changed: (type, after, signal) => store.changed(type, after, signal),
  compact: (type, before) => store.compact(type, before),
  close: () => store.close(),
});
