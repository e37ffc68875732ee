import { requestEntityTooLarge } from "#base";

/** Bytes that DynamoDB takes as a sort key. */
const longest = 1024;

/** Whether there can be an object under this key. */
export const isPossible = (key: string): boolean => Buffer.byteLength(key) <= longest;

/** Throws ApiError 413 for a key that cannot be written. */
export function checkKey(key: string): void {
  if (!isPossible(key)) throw requestEntityTooLarge(`limit of a name with its namespace is ${longest - 1} bytes`);
}

/** A bound of a range as a request may name it: where it is longer than any key, what of it a key can have. */
export function bound(key: string): string {
  if (isPossible(key)) return key;
  // As a stream, what is not a whole character waits for the rest of it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(key).subarray(0, longest), { stream: true });
}
