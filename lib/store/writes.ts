import { Conflict, Exists } from "./errors.ts";
import type { Entry, Write } from "./port.ts";

/** Throws when two writes of one commit have the same key: a fault of the caller, not of a client. */
export function checkWrites(writes: readonly Write[]): void {
  if (writes.length < 2) return;
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) throw new Error(`two writes of one commit name ${key}`);
    keys.add(key);
  }
}

/** Why a write is refused over the current object; undefined when it is not. */
export function refusal(write: Write, current: Entry | undefined): Exists | Conflict | undefined {
  if (write.type === "create") return current ? new Exists(current) : undefined;
  if (current?.revision === write.expected) return undefined;
  return new Conflict(write.key, current);
}
