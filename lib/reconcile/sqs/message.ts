import { createHash } from "node:crypto";
import { encodeKey, type Work } from "#reconcile";
import { firstName, presentName } from "./former-names.ts";

/** A key as a message of the queue. */
export interface Message extends Work {
  /**
   * The cause: the revision that changed (`apps/deployments@12`), the time that was waited for (`due@…`), a resync
   * (`resync@…`). Two messages with the same key and cause are one message.
   */
  cause: string;
  /** How many reconciles in a row, each triggered by a write of the one before, led to this message. */
  hops: number;
}

const hash = (...parts: string[]): string => createHash("sha256").update(parts.join("\n")).digest("hex");

/** The message group: one worker at a time processes a key of a controller. 64 characters. */
export const groupOf = ({ controller, key }: Work): string => hash(firstName(controller), encodeKey(key));

/** The deduplication id. 64 characters. */
export const deduplicationOf = (message: Message): string =>
  hash(firstName(message.controller), encodeKey(message.key), message.cause);

/** The body of a message, as JSON. */
export const encodeMessage = ({ controller, key, cause, hops }: Message): string =>
  JSON.stringify({ controller, namespace: key.namespace, name: key.name, cause, hops });

/** Reads a body, also one that an earlier version wrote; undefined for a malformed one. */
export function decodeMessage(body: string): Message | undefined {
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(body);
  } catch {
    return undefined;
  }
  const { controller, namespace, name, cause, hops } = read ?? {};
  if (typeof controller !== "string" || typeof name !== "string" || typeof cause !== "string") return undefined;
  if (typeof hops !== "number" || (namespace !== undefined && typeof namespace !== "string")) return undefined;
  return {
    controller: presentName(controller),
    key: { ...(namespace === undefined ? {} : { namespace }), name },
    cause,
    hops,
  };
}
