import { Duplex } from "node:stream";
import { type Relay, type RelayOptions, relay } from "./relay.ts";

export interface RelayStreamOptions extends Pick<RelayOptions, "clock" | "send" | "opens" | "limits"> {
  /** Nothing will come of it any more: no frame need reach it. Told once. */
  over(error?: Error): void;
}

/** Bytes that may wait to be sent before a writer has to. */
const enough = 64 * 1024;

/** An end of a relay as a stream: ended in order it goes on until the other end knows, destroyed it tells it so. */
export function relayStream({ over, ...options }: RelayStreamOptions): { stream: Duplex; take: Relay["take"] } {
  let written: (() => void) | undefined;
  let ended: (() => void) | undefined;
  let isWanted = false;
  let isEnded = false;
  const pull = (): void => {
    while (isWanted && !isEnded) {
      const bytes = end.read();
      if (bytes === undefined) break;
      isWanted = stream.push(bytes);
    }
    if (isEnded || !end.state.received) return;
    isEnded = true;
    stream.push(null);
  };
  const end = relay({
    ...options,
    readable: pull,
    writable() {
      const { backlog, sent } = end.state;
      if (backlog < enough) {
        const told = written;
        written = undefined;
        told?.();
      }
      if (sent) ended?.();
    },
    closed(error) {
      if (error) stream.destroy(error);
      over(error);
    },
  });
  const stream = new Duplex({
    read() {
      isWanted = true;
      pull();
    },
    write(chunk: Buffer, _encoding, done) {
      end.write(chunk);
      if (end.state.backlog < enough) done();
      else written = done;
    },
    final(done) {
      ended = () => {
        ended = undefined;
        done();
      };
      end.end();
      if (end.state.sent) ended?.();
    },
    destroy(error, done) {
      const { sent, received } = end.state;
      if (!sent || !received) end.reset(error?.message ?? "the connection was closed");
      done(error);
    },
  });
  return { stream, take: end.take };
}
