/** A line of a container's output, or a piece of one that is too long for an event. */
export interface Line {
  /** The runtime's timestamp with nanoseconds; every line of a container has one. */
  stamp: string;
  /** The same in milliseconds since the epoch. */
  at: number;
  text: string;
  /** Whether it is the end of the line. */
  ends: boolean;
}

/** The longest event of CloudWatch Logs, with a reserve for bytes that are not UTF-8 and grow. */
export const maxPieceBytes = 250_000;

const newline = 10;
const space = 32;

/** Splits the runtime's output with timestamps into lines. `end` returns the rest after the last newline. */
export function lineReader(): { read(chunk: Uint8Array): Line[]; end(): Line[] } {
  let rest: Buffer = Buffer.alloc(0);
  let begun = false;
  let last = { stamp: "", at: 0 };
  const make = (bytes: Buffer, ends: boolean): Line => {
    let text = bytes;
    if (!begun) {
      const blank = bytes.indexOf(space);
      const stamp = bytes.toString("latin1", 0, Math.max(blank, 0));
      const at = Date.parse(stamp);
      // One line may consist of pieces of both outputs: the later ones have no time of their own.
      if (!Number.isNaN(at)) {
        last = { stamp, at };
        text = bytes.subarray(blank + 1);
      }
    }
    begun = !ends;
    return { ...last, text: text.toString(), ends };
  };
  return {
    read(chunk) {
      let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk);
      const lines: Line[] = [];
      for (;;) {
        const end = bytes.subarray(0, maxPieceBytes).indexOf(newline);
        if (end >= 0) {
          lines.push(make(bytes.subarray(0, end), true));
          bytes = bytes.subarray(end + 1);
        } else if (bytes.length > maxPieceBytes) {
          const cut = wholeCharacters(bytes, maxPieceBytes);
          lines.push(make(bytes.subarray(0, cut), false));
          bytes = bytes.subarray(cut);
        } else break;
      }
      rest = Buffer.from(bytes);
      return lines;
    },
    end() {
      const left = rest;
      rest = Buffer.alloc(0);
      return left.length > 0 || begun ? [make(left, true)] : [];
    },
  };
}

/** The last index up to `most` that does not split a character. */
function wholeCharacters(bytes: Buffer, most: number): number {
  let cut = most;
  while (cut > most - 4 && (bytes[cut]! & 0xc0) === 0x80) cut--;
  return cut;
}
