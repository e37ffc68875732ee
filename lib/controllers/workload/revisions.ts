/**
 * A revision as Go's ParseInt reads it: a whole number of 64 bits, which a double cannot hold. Undefined for any other
 * text.
 */
export function parseRevision(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** The revision after the largest one, at least 1. */
export function nextRevision(revisions: readonly bigint[]): bigint {
  const largest = revisions.reduce((most, each) => (each > most ? each : most), 0n);
  return BigInt.asIntN(64, largest + 1n);
}

/** The items beyond a history limit, lowest revision first. */
export function beyondHistory<T>(items: readonly T[], limit: number, revisionOf: (item: T) => bigint): T[] {
  const sorted = items.map((item) => ({ item, revision: revisionOf(item) }));
  sorted.sort((a, b) => (a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0));
  return sorted.slice(0, Math.max(0, items.length - limit)).map(({ item }) => item);
}
