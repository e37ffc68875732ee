import type { Kind, KubernetesObject } from "#api/meta";
import type { Clock } from "#base";
import type { Client } from "#client";

export interface ViewOptions {
  client: Client;
  /** The head of a kind's log: a later list is at this revision or above. */
  revision(kind: Kind): Promise<number>;
  clock: Clock;
  /** For how many milliseconds the head of a log is used; 0 where reading it costs nothing. */
  maxAge: number;
}

/**
 * An index over all objects of a kind, rebuilt only when the kind's log has changed. Rejects when it cannot be read.
 */
export function view<T extends KubernetesObject, V>(
  { client, revision, clock, maxAge }: ViewOptions,
  kind: Kind<T>,
  make: (objects: readonly T[]) => V,
): () => Promise<V> {
  let known: { revision: number; value: V } | undefined;
  let looked = Number.NEGATIVE_INFINITY;
  let loading: Promise<{ revision: number; value: V }> | undefined;

  const load = async () => {
    const list = await client.list(kind);
    return { revision: Number(list.revision), value: make(list.items) };
  };

  return async () => {
    const now = clock.now();
    if (known && now - looked < maxAge) return known.value;
    const head = await revision(kind as Kind);
    // A load that began before a change does not hold it: then once more.
    while (!known || known.revision < head) {
      loading ??= load().finally(() => {
        loading = undefined;
      });
      const loaded = await loading;
      if (!known || known.revision < loaded.revision) known = loaded;
    }
    looked = now;
    return known.value;
  };
}
