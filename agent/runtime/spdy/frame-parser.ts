import { empty } from "./bytes.ts";

/**
 * Splits the bytes that it is called with into frames. `onFrame` gets the header of 8 bytes and the body; while the
 * promise that it returns is pending, later frames wait. `fail` gets the error of one that rejects.
 */
export function frameParser(
  onFrame: (start: Buffer, body: Buffer) => void | Promise<void>,
  fail: (error: Error) => void,
): (chunk: Buffer) => void {
  let rest: Buffer = empty;
  let busy = false;
  const parse = (): void => {
    while (!busy && rest.length >= 8) {
      const length = rest.readUIntBE(5, 3);
      if (rest.length < 8 + length) return;
      const frame = rest;
      rest = rest.subarray(8 + length);
      const working = onFrame(frame.subarray(0, 8), frame.subarray(8, 8 + length));
      if (!working) continue;
      busy = true;
      working.then(
        () => {
          busy = false;
          parse();
        },
        (error) => fail(error),
      );
    }
  };
  return (chunk) => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    parse();
  };
}
