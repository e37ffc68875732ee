import { Duplex } from "node:stream";
import { Relay, type RelayOptions } from "./relay.ts";

export interface RelayStreamOptions extends Pick<RelayOptions, "clock" | "send" | "opens" | "limits"> {
  /** Called once, when the relay is over and needs no more frames. */
  over(error?: Error): void;
}

/** Bytes that may wait to be sent before a writer has to wait. */
const highWaterMark = 64 * 1024;

/**
 * An end of a relay as a stream. After `end` the relay remains open until the other end has received everything; `destroy`
 * resets it. `take` accepts a frame that has arrived.
 */
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
  const end = new Relay({
    ...options,
    readable: pull,
    writable() {
      const { backlog, sent } = end.state;
      if (backlog < highWaterMark) {
        const done = written;
        written = undefined;
        done?.();
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
      if (end.state.backlog < highWaterMark) done();
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
  return { stream, take: (frame) => end.take(frame) };
}
