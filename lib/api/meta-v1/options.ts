import type * as z from "zod";
import { boolean, int64, list, message, optional, string } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";
const dryRunDoc = "All: process the request without storing the result.";
const managerDoc = "Name of the field manager.";
const validationDoc = "What to do about unknown and duplicate fields: Ignore, Warn or Strict.";

export const Preconditions = message(`${meta}.Preconditions`, () => ({
  uid: optional(1, string, "The uid that the object must have.", { isPointer: true }),
  resourceVersion: optional(2, string, "The revision that the object must be at.", { isPointer: true }),
}));
export type Preconditions = z.infer<typeof Preconditions>;

/** The options of a delete, in the body or in the query. */
export const DeleteOptions = message(`${meta}.DeleteOptions`, () => ({
  gracePeriodSeconds: optional(1, int64, "Grace period in seconds; 0 deletes immediately.", {
    isPointer: true,
  }),
  preconditions: optional(2, Preconditions, "Preconditions of the deletion."),
  orphanDependents: optional(3, boolean, "Older form of propagationPolicy.", { isPointer: true }),
  propagationPolicy: optional(4, string, "Deletion of dependents: Orphan, Background or Foreground.", {
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
  force: optional(2, boolean, "Whether an apply takes over fields of other managers.", { isPointer: true }),
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
  watch: optional(3, boolean, "Whether to stream changes instead of a list."),
  resourceVersion: optional(4, string, "The requested revision, interpreted by resourceVersionMatch."),
  timeoutSeconds: optional(5, int64, "How long a list may take or a watch may last.", { isPointer: true }),
  limit: optional(7, int64, "Maximum number of items; `continue` requests the next ones."),
  continue: optional(8, string, "Token of the previous response, for the next items of the same snapshot."),
  allowWatchBookmarks: optional(9, boolean, "Whether a watch may contain bookmarks."),
  resourceVersionMatch: optional(10, string, "NotOlderThan or Exact."),
  sendInitialEvents: optional(11, boolean, "Whether a watch begins with all existing objects and a bookmark.", {
    isPointer: true,
  }),
  shardSelector: optional(15, string, "Only a part of the objects, by a hash."),
}));
export type ListOptions = z.infer<typeof ListOptions>;

export const TableOptions = message(`${meta}.TableOptions`, () => ({
  includeObject: optional(1, string, "What the rows contain besides their cells: None, Metadata or Object."),
}));
export type TableOptions = z.infer<typeof TableOptions>;
