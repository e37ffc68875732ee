/** The definition of a table, in the terms of CreateTable and UpdateTimeToLive. */
export interface TableDefinition {
  partitionKey: { name: string; type: "S" | "N" };
  sortKey: { name: string; type: "S" | "N" };
  /** The attribute with the second after which an item may expire. */
  timeToLive: string;
  /** Whether the table has a stream, and with which images. */
  stream?: "NEW_IMAGE";
}

/**
 * The two tables of the store. Both are on demand, encrypted, with point-in-time recovery. `objects` holds each object
 * under `<type>#<shard>` and its key, beside the counters and floors under `type#<type>` and the parts of big bodies
 * under `part#<type>#<revision>`. `changes` holds the log under `<type>#<shard>` and the revision; in its stream,
 * records that must wake a function have the attribute `w`, for the event filter.
 */
export const tables: { objects: TableDefinition; changes: TableDefinition } = {
  objects: { partitionKey: { name: "p", type: "S" }, sortKey: { name: "k", type: "S" }, timeToLive: "e" },
  changes: {
    partitionKey: { name: "p", type: "S" },
    sortKey: { name: "r", type: "N" },
    timeToLive: "e",
    stream: "NEW_IMAGE",
  },
};

/** The names of the tables in one deployment. */
export interface TableNames {
  objects: string;
  changes: string;
}
