import { catalog, storageOf } from "#api";

const shards = new Map(catalog.map((kind) => [storageOf(kind), kind.shards ?? 1]));

/**
 * How many shards the log of a type has in a new store. The first writer creates them, so every process of a cluster
 * must return the same number.
 */
export const logShards = (type: string): number => shards.get(type) ?? 1;
