import { Readable } from "node:stream";
import type { ApiResponse } from "#apiserver";
import { type Clock, type Log, messageOf, type Timer } from "#base";
import type { StreamedAnswer } from "../middleware.ts";

/** A newline this often keeps a quiet stream open and notices a client that has gone. */
const beat = 10_000;
const newline = Buffer.from("\n");

export interface ResponseOptions {
  clock: Clock;
  log: Log;
  /** Told when the client takes no more, or everything has been sent. */
  closed: () => void;
}

/**
 * The answer as middy streams it: text and Readables only. A body that fails ends there and never throws, since that
 * would end the process: the server has told the client in the stream.
 */
export function responseOf(response: ApiResponse, { clock, log, closed }: ResponseOptions): StreamedAnswer {
  const { status, body } = response;
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
  if (body instanceof Uint8Array) {
    closed();
    return { statusCode: status, headers, body: Readable.from([Buffer.from(body)], { objectMode: false }) };
  }
  const isJson = /json/.test(headers["content-type"] ?? headers["Content-Type"] ?? "");
  return { statusCode: status, headers, body: streamOf(body, { clock, log, closed }, isJson) };
}

/** Pulls the chunks as they are taken; between JSON values a newline may stand at any time. */
function streamOf(
  chunks: AsyncIterable<Uint8Array>,
  { clock, log, closed }: ResponseOptions,
  beats: boolean,
): Readable {
  const iterator = chunks[Symbol.asyncIterator]();
  let timer: Timer | undefined;
  const rest = (): void => {
    timer?.cancel();
    closed();
  };
  const stream = new Readable({
    read() {
      iterator.next().then(
        ({ done, value }) => {
          if (done) rest();
          this.push(done ? null : Buffer.from(value));
        },
        (error: unknown) => {
          log.warn("a stream ended early", { error: messageOf(error) });
          rest();
          this.push(null);
        },
      );
    },
    destroy(_error, done) {
      rest();
      Promise.resolve(iterator.return?.()).then(
        () => done(null),
        () => done(null),
      );
    },
  });
  const tick = (): void => {
    timer = clock.timer(beat, () => {
      if (stream.destroyed || stream.readableEnded) return;
      stream.push(newline);
      tick();
    });
  };
  if (beats) tick();
  return stream;
}
