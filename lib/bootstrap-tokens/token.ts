import type { Random } from "#base";

/** A bootstrap token, written `<id>.<secret>`. */
export interface BootstrapToken {
  /** Six characters that are no secret. */
  id: string;
  /** Sixteen characters. */
  secret: string;
}

const pattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Undefined for a text of another form. */
export function parseToken(text: string): BootstrapToken | undefined {
  const [, id, secret] = pattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export const formatToken = ({ id, secret }: BootstrapToken): string => `${id}.${secret}`;

/** A new token, uniformly random. */
export const newToken = (random: Random): BootstrapToken => ({
  id: randomText(random, 6),
  secret: randomText(random, 16),
});

function randomText(random: Random, length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of random.bytes(length)) {
      // 252 = 7 x 36: bytes from there on would favour the first characters.
      if (byte < 252 && text.length < length) text += alphabet[byte % 36];
    }
  }
  return text;
}
