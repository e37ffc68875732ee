import type { Kind, KubernetesObject } from "#api/meta";
import { messageOf } from "#base";
import type { Server } from "./server.ts";

/** Where the server's own code may fail on one object without failing for the others of a list or a watch. */
export type FaultPlace = "column" | "watch";

/** Logs and counts a fault of the server's own code on one object, which is shown without what failed or passed over. */
export function reportFault(
  server: Pick<Server, "log" | "metrics">,
  place: FaultPlace,
  about: { kind: Kind; key: string; what: string },
  error: unknown,
): void {
  const { kind, key, what } = about;
  server.log.error(`a ${place} failed on an object`, { kind: kind.kind, object: key, what, error: messageOf(error) });
  server.metrics?.contained(place);
}

/** What reports a column that failed on an object, for `tableRow`. */
export const columnFault =
  (server: Pick<Server, "log" | "metrics">, kind: Kind, { metadata }: KubernetesObject) =>
  (column: string, error: unknown): void =>
    reportFault(server, "column", { kind, key: `${metadata.namespace ?? ""}/${metadata.name}`, what: column }, error);
