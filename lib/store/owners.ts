import type { Entry } from "./port.ts";

/** Which entries name which owner. */
export class Owners {
  readonly #byUid = new Map<string, Map<string, Entry>>();

  of(uid: string): Entry[] {
    return [...(this.#byUid.get(uid)?.values() ?? [])];
  }

  add(entry: Entry): void {
    for (const uid of entry.index.owners ?? []) {
      const owned = this.#byUid.get(uid);
      if (owned) owned.set(entry.key, entry);
      else this.#byUid.set(uid, new Map([[entry.key, entry]]));
    }
  }

  remove(entry: Entry): void {
    for (const uid of entry.index.owners ?? []) {
      const owned = this.#byUid.get(uid);
      owned?.delete(entry.key);
      if (owned?.size === 0) this.#byUid.delete(uid);
    }
  }
}
