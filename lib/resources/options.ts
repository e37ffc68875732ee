import type { FieldValidation } from "#wire";

/** What the stored object must be for a write to happen (meta/v1 Preconditions). */
export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export type Propagation = "Background" | "Foreground" | "Orphan";

/** The members of DeleteOptions that only a delete has. */
export interface DeletionOptions {
  /** Seconds. Defaults to the grace period of the object. */
  readonly gracePeriodSeconds?: number | undefined;
  /** What happens to dependents. Defaults to the kind's `defaultPropagation`. */
  readonly propagation?: Propagation | undefined;
  /** Deletes an object that cannot be read; refused for an object that can. */
  readonly unsafe?: boolean | undefined;
  /** The client used `orphanDependents: false`, the older form of background deletion. */
  readonly cascades?: boolean | undefined;
}

/**
 * Options of a write. They are read once, before a verb runs, and every write of that verb obeys them: `commit` stores
 * nothing in a dry run, `retry` checks the preconditions, and admission plugins see them all.
 */
export interface WriteOptions {
  readonly dryRun: boolean;
  /** The owner of the fields that the write changes (metadata.managedFields); "" for the control plane itself. */
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  readonly preconditions: Preconditions;
  readonly deletion: DeletionOptions;
}

/** Options of a write that has none of its own. */
export const defaultOptions: WriteOptions = Object.freeze({
  dryRun: false,
  fieldManager: "",
  fieldValidation: "Ignore",
  preconditions: Object.freeze({}),
  deletion: Object.freeze({}),
});
