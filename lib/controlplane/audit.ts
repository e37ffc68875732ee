import type { AuditEvent } from "#apiserver";

/** What is worth a line even when a node reads it. */
const worth = new Set(["secrets", "serviceaccounts"]);
const reads = new Set(["get", "list", "watch"]);

/**
 * Nodes look for their own work all the time, and a log is paid by its length: what they read with success is no
 * event, but for secrets.
 */
export const isRoutine = ({ user, verb, objectRef, responseStatus }: AuditEvent): boolean =>
  user.groups?.includes("system:nodes") === true &&
  reads.has(verb) &&
  responseStatus.code < 400 &&
  !worth.has(objectRef?.resource ?? "");
