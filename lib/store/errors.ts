import type { Entry } from "./port.ts";

/** A create found an existing object. */
export class Exists extends Error {
  readonly entry: Entry;
  constructor(entry: Entry) {
    super(`${entry.key} already exists at revision ${entry.revision}`);
    this.name = "Exists";
    this.entry = entry;
  }
}

/** An update or delete expected another revision. `entry` is the current object; undefined when none exists. */
export class Conflict extends Error {
  readonly key: string;
  readonly entry: Entry | undefined;
  constructor(key: string, entry: Entry | undefined) {
    super(entry ? `${key} is at revision ${entry.revision}` : `${key} does not exist`);
    this.name = "Conflict";
    this.key = key;
    this.entry = entry;
  }
}

/** The requested revision is below the floor: its changes are gone. */
export class Compacted extends Error {
  readonly floor: number;
  constructor(revision: number, floor: number) {
    super(`revision ${revision} is older than ${floor}, the oldest that is kept`);
    this.name = "Compacted";
    this.floor = floor;
  }
}

/** The requested revision is above the head. */
export class FutureRevision extends Error {
  readonly head: number;
  constructor(revision: number, head: number) {
    super(`revision ${revision} is ahead of ${head}, the newest`);
    this.name = "FutureRevision";
    this.head = head;
  }
}
