import type { Kind, KubernetesObject } from "#api/meta";
import { type Log, messageOf } from "#base";
import type { Counter, MetricRegistry } from "#metrics";

/** Where the server's own code may fail on one object without failing for the others of a list or a watch. */
export type FaultPlace = "column" | "watch" | "default";

interface Fault {
  kind: Kind;
  key: string;
  what: string;
}

/** Objects that are remembered as reported; beyond that some are reported again. */
const remembered = 10_000;

/** Logs and counts faults of the server's own code on single objects, which are shown in part or passed over. */
export class Faults {
  readonly #log: Log;
  readonly #contained: Counter | undefined;
  readonly #reported = new Set<string>();

  constructor(log: Log, metrics?: MetricRegistry) {
    this.#log = log;
    this.#contained = metrics?.counter({
      name: "skiff_apiserver_contained_failures_total",
      help: "Number of objects that were shown in part or passed over because the server's own code failed on them.",
      labels: ["place"],
    });
  }

  report(place: FaultPlace, { kind, key, what }: Fault, error: unknown): void {
    this.#log.error(`a ${place} failed on an object`, { kind: kind.kind, object: key, what, error: messageOf(error) });
    this.#contained?.add([place]);
  }

  /** Reports the fault of a stored object once, however often the object is read. */
  reportOnce(place: FaultPlace, fault: Fault, error: unknown): void {
    const name = `${place} ${fault.kind.kind} ${fault.key}`;
    if (this.#reported.has(name)) return;
    if (this.#reported.size === remembered) this.#reported.clear();
    this.#reported.add(name);
    this.report(place, fault, error);
  }

  /** The report of a column that failed on an object, for `tableRow`. */
  ofColumn(kind: Kind, { metadata }: KubernetesObject): (column: string, error: unknown) => void {
    const key = `${metadata.namespace ?? ""}/${metadata.name}`;
    return (column, error) => this.report("column", { kind, key, what: column }, error);
  }
}
