import type { Clock } from "#base";
import type { Store } from "#store";
import { buckets, type MetricRegistry } from "./registry.ts";

/** Group and resource of a storage type such as `apps/deployments`; the core group has no name. */
function placeOf(type: string): [string, string] {
  const [group = "", resource = type] = type.split("/");
  return [group === "core" ? "" : group, resource];
}

/** A store whose reads and writes are timed, under the names that upstream has for etcd's. */
export function meteredStore(store: Store, registry: MetricRegistry, clock: Clock): Store {
  const labels = ["operation", "group", "resource"];
  const took = registry.histogram({
    name: "etcd_request_duration_seconds",
    help: "Etcd request latency in seconds for each operation and object type.",
    labels,
    bounds: buckets.requests,
  });
  const total = registry.counter({
    name: "etcd_requests_total",
    help: "Etcd request counts for each operation and object type.",
    labels,
  });
  const errors = registry.counter({
    name: "etcd_request_errors_total",
    help: "Etcd failed request counts for each operation and object type.",
    labels,
  });
  const series = new Map<string, { done(seconds: number): void; failed(): void }>();
  const seriesOf = (operation: string, type: string) => {
    const key = `${operation} ${type}`;
    const known = series.get(key);
    if (known) return known;
    const values = [operation, ...placeOf(type)];
    const [count, observe] = [total.of(values), took.of(values)];
    const found = {
      done(seconds: number) {
        count();
        observe(seconds);
      },
      failed: () => errors.add(values),
    };
    series.set(key, found);
    return found;
  };
  const timed = async <T>(operation: string, type: string, work: () => Promise<T>): Promise<T> => {
    const { done, failed } = seriesOf(operation, type);
    const since = clock.now();
    try {
      return await work();
    } catch (error) {
      failed();
      throw error;
    } finally {
      done((clock.now() - since) / 1000);
    }
  };
  return {
    get: (type, key) => timed("get", type, () => store.get(type, key)),
    head: (type) => store.head(type),
    list: (type, options) => timed("list", type, () => store.list(type, options)),
    commit: (type, writes) =>
      timed(writes.length === 1 ? writes[0]!.type : "batch", type, () => store.commit(type, writes)),
    changes: (type, after, limit) => store.changes(type, after, limit),
    changed: (type, after, signal) => store.changed(type, after, signal),
    compact: (type, before) => timed("compact", type, () => store.compact(type, before)),
    close: () => store.close(),
  };
}
