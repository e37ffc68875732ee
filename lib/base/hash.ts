const encoder = new TextEncoder();

/** FNV-1a of a text in UTF-8, 32 bits: small and stable, not for secrets. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
