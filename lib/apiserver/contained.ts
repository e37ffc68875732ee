import type { Kind, KubernetesObject } from "#api/meta";
import { messageOf } from "#base";
import type { Server } from "./server.ts";

/** Where the server's own code may fail on one object without failing for the others of a list or a watch. */
export type FaultPlace = "column" | "watch" | "default";

/** What a fault is logged and counted by. */
export type Reporter = Pick<Server, "log" | "metrics">;

interface Fault {
  kind: Kind;
  key: string;
  what: string;
}

/** Logs and counts a fault of the server's own code on one object, which is shown without what failed or passed over. */
export function reportFault(server: Reporter, place: FaultPlace, { kind, key, what }: Fault, error: unknown): void {
  server.log.error(`a ${place} failed on an object`, { kind: kind.kind, object: key, what, error: messageOf(error) });
  server.metrics?.contained(place);
}

const reported = new WeakMap<Reporter, Set<string>>();
/** Objects that are remembered as reported; beyond that some are reported again. */
const remembered = 10_000;

/** Reports the fault of an object that stays as it is: once for each, however often it is read. */
export function reportOnce(server: Reporter, place: FaultPlace, about: Fault, error: unknown): void {
  const known = reported.get(server) ?? new Set();
  reported.set(server, known);
  const name = `${place} ${about.kind.kind} ${about.key}`;
  if (known.has(name)) return;
  if (known.size === remembered) known.clear();
  known.add(name);
  reportFault(server, place, about, error);
}

/** What reports a column that failed on an object, for `tableRow`. */
export const columnFault =
  (server: Reporter, kind: Kind, { metadata }: KubernetesObject) =>
  (column: string, error: unknown): void =>
    reportFault(server, "column", { kind, key: `${metadata.namespace ?? ""}/${metadata.name}`, what: column }, error);
