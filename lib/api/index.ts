/**
 * What objects are: the schemas, types and definitions of every kind, and the catalog that lists them. Nothing here
 * stores, sends or reconciles anything; the other rooms read the definitions and never ask which kind it is.
 */
import { lease } from "./coordination/index.ts";
import { configMap, event, namespace, node, pod, secret, serviceAccount } from "./core/index.ts";
import { eventsEvent } from "./events/index.ts";
import type { Kind } from "./meta/index.ts";

export * from "./coordination/index.ts";
export * from "./core/index.ts";
export * from "./events/index.ts";
export * from "./meta/index.ts";

/** Every built-in kind. */
export const catalog: readonly Kind[] = [
  configMap,
  event,
  namespace,
  node,
  pod,
  secret,
  serviceAccount,
  lease,
  eventsEvent,
];
