import type * as z from "zod";
import { boolean, int64, list, message, optional, string } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";
const dryRunDoc = "All: do everything but keep nothing.";
const managerDoc = "Who writes; for the fields' management.";
const validationDoc = "What to do about unknown and duplicate fields: Ignore, Warn or Strict.";

export const Preconditions = message(`${meta}.Preconditions`, () => ({
  uid: optional(1, string, "The uid that the object must have.", { isPointer: true }),
  resourceVersion: optional(2, string, "The revision that the object must be at.", { isPointer: true }),
}));
export type Preconditions = z.infer<typeof Preconditions>;

/** The options of a delete, in the body or in the query. */
export const DeleteOptions = message(`${meta}.DeleteOptions`, () => ({
  gracePeriodSeconds: optional(1, int64, "How long the object has to end itself, in seconds; 0 deletes at once.", {
    isPointer: true,
  }),
  preconditions: optional(2, Preconditions, "What must hold for the delete to happen."),
  orphanDependents: optional(3, boolean, "Older form of propagationPolicy.", { isPointer: true }),
  propagationPolicy: optional(4, string, "What becomes of dependents: Orphan, Background or Foreground.", {
    isPointer: true,
  }),
  dryRun: optional(5, list(string), dryRunDoc, { list: "atomic" }),
  ignoreStoreReadErrorWithClusterBreakingPotential: optional(6, boolean, "Deletes an object that cannot be read.", {
    isPointer: true,
  }),
}));
export type DeleteOptions = z.infer<typeof DeleteOptions>;

export const CreateOptions = message(`${meta}.CreateOptions`, () => ({
  dryRun: optional(1, list(string), dryRunDoc, { list: "atomic" }),
  fieldManager: optional(3, string, managerDoc),
  fieldValidation: optional(4, string, validationDoc),
}));
export type CreateOptions = z.infer<typeof CreateOptions>;

export const UpdateOptions = message(`${meta}.UpdateOptions`, () => ({
  dryRun: optional(1, list(string), dryRunDoc, { list: "atomic" }),
  fieldManager: optional(2, string, managerDoc),
  fieldValidation: optional(3, string, validationDoc),
}));
export type UpdateOptions = z.infer<typeof UpdateOptions>;

export const PatchOptions = message(`${meta}.PatchOptions`, () => ({
  dryRun: optional(1, list(string), dryRunDoc, { list: "atomic" }),
  force: optional(2, boolean, "An apply takes fields that others manage.", { isPointer: true }),
  fieldManager: optional(3, string, managerDoc),
  fieldValidation: optional(4, string, validationDoc),
}));
export type PatchOptions = z.infer<typeof PatchOptions>;

export const GetOptions = message(`${meta}.GetOptions`, () => ({
  resourceVersion: optional(1, string, "The revision that the answer must not be older than."),
}));
export type GetOptions = z.infer<typeof GetOptions>;

export const ListOptions = message(`${meta}.ListOptions`, () => ({
  labelSelector: optional(1, string, "Only objects with labels that match."),
  fieldSelector: optional(2, string, "Only objects with fields that match."),
  watch: optional(3, boolean, "Changes from here on, as a stream."),
  resourceVersion: optional(4, string, "The revision that is asked for; resourceVersionMatch says how."),
  timeoutSeconds: optional(5, int64, "How long a list may take or a watch may last.", { isPointer: true }),
  limit: optional(7, int64, "How many items at most; `continue` asks for the next ones."),
  continue: optional(8, string, "From the answer before, for the next items of the same snapshot."),
  allowWatchBookmarks: optional(9, boolean, "A watch may carry bookmarks."),
  resourceVersionMatch: optional(10, string, "NotOlderThan or Exact."),
  sendInitialEvents: optional(
    11,
    boolean,
    "A watch begins with all objects that are there, and a bookmark after them.",
    { isPointer: true },
  ),
  shardSelector: optional(15, string, "Only a part of the objects, by a hash."),
}));
export type ListOptions = z.infer<typeof ListOptions>;

export const TableOptions = message(`${meta}.TableOptions`, () => ({
  includeObject: optional(1, string, "What the rows carry beside their cells: None, Metadata or Object."),
}));
export type TableOptions = z.infer<typeof TableOptions>;
