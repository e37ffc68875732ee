import { requestEntityTooLarge } from "#base";

/** The longest sort key of DynamoDB, in bytes. */
const longest = 1024;

/** Whether an object can have this key. */
export const isPossible = (key: string): boolean => Buffer.byteLength(key) <= longest;

/** Throws ApiError 413 for a key that cannot be written. */
export function checkKey(key: string): void {
  if (!isPossible(key)) throw requestEntityTooLarge(`limit of a name with its namespace is ${longest - 1} bytes`);
}

/** A bound of a range for a request. One that is longer than any key is cut to the longest key. */
export function bound(key: string): string {
  if (isPossible(key)) return key;
  // Decoded as a stream, which drops an incomplete character at the end.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(key).subarray(0, longest), { stream: true });
}
