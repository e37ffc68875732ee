import type { Kind, ObjectMeta } from "#api/meta";
import { formatTime, uuid } from "#base";
import type { Resources } from "./resources.ts";

/** What happens to a field of metadata that was sent. */
interface SystemField {
  /** In a new object: the server sets it, removes it, or leaves it. */
  create: "set" | "remove" | "keep";
  /** In a review, which is never stored. */
  review: "remove" | "keep";
  /**
   * In an update: the stored value replaces what was sent (`stored`), also where nothing is stored, or it fills a field
   * that was left out (`default`); validation refuses another value. `always` is as `stored` where something is stored.
   */
  update: "stored" | "always" | "default";
}

/** Metadata that only the server sets, as upstream's BeforeCreate and BeforeUpdate treat it. */
const systemFields: Readonly<Partial<Record<keyof ObjectMeta, SystemField>>> = {
  uid: { create: "set", review: "remove", update: "default" },
  creationTimestamp: { create: "set", review: "remove", update: "stored" },
  generation: { create: "set", review: "keep", update: "stored" },
  resourceVersion: { create: "remove", review: "keep", update: "stored" },
  deletionTimestamp: { create: "remove", review: "remove", update: "always" },
  deletionGracePeriodSeconds: { create: "remove", review: "remove", update: "default" },
  selfLink: { create: "remove", review: "remove", update: "stored" },
  managedFields: { create: "remove", review: "keep", update: "stored" },
  name: { create: "keep", review: "keep", update: "stored" },
  namespace: { create: "keep", review: "keep", update: "always" },
};

const entries = Object.entries(systemFields) as [keyof ObjectMeta, SystemField][];

/** Prepares the metadata of a new object. `generation` is set for kinds that have one, and left as it is for others. */
export function setOnCreate({ clock, random }: Resources, kind: Kind, metadata: ObjectMeta): void {
  for (const [field, { create }] of entries) if (create === "remove") delete metadata[field];
  metadata.uid = uuid(random);
  metadata.creationTimestamp = formatTime(clock.now());
  if (kind.generation) metadata.generation = 1;
}

/** Removes from the metadata of a review what only stored objects have. */
export function removeFromReview(metadata: ObjectMeta): void {
  for (const [field, { review }] of entries) if (review === "remove") delete metadata[field];
}

/** Puts the stored values into the metadata of an update. */
export function keepOnUpdate(metadata: ObjectMeta, stored: ObjectMeta): void {
  const target = metadata as Record<string, unknown>;
  for (const [field, { update }] of entries) {
    const value = stored[field];
    if (value === undefined) {
      if (update === "stored") delete target[field];
    } else if (update !== "default" || target[field] === undefined || target[field] === "") target[field] = value;
  }
}
