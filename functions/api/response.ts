import { Readable } from "node:stream";
import type { ApiResponse } from "#apiserver";
import { type Clock, type Log, messageOf, type Timer } from "#base";
import type { StreamedAnswer } from "#hosts/aws";

/** A newline this often keeps a quiet stream open and notices a client that has gone. */
const beat = 10_000;
const newline = Buffer.from("\n");
/** What comes after an event pushes it out where the runtime holds small writes back. In milliseconds. */
const nudge = 20;
/** More than any amount that Lambda's runtime was seen to hold back. */
const padding = Buffer.from(`${" ".repeat(100 * 1024 - 1)}\n`);

/**
 * How events come to a client at once although the runtime may hold back what is small: a newline follows each batch,
 * or a hundred kilobytes of blanks do, or the stream ends after it and the client watches on.
 */
export type Delivery = "newline" | "padding" | "close";

export interface ResponseOptions {
  /** For watches; what is no watch comes as one whole. */
  delivery?: Delivery | undefined;
  clock: Clock;
  log: Log;
  /** Told when the client takes no more, or everything has been sent. */
  closed: () => void;
}

/**
 * The answer as middy streams it: text and Readables only. A body that fails ends there and never throws, since that
 * would end the process: the server has told the client in the stream.
 */
export function responseOf(response: ApiResponse, options: ResponseOptions): StreamedAnswer {
  const { status, body } = response;
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
  if (body instanceof Uint8Array) {
    options.closed();
    return { statusCode: status, headers, body: Readable.from([Buffer.from(body)], { objectMode: false }) };
  }
  const isJson = /json/.test(headers["content-type"] ?? headers["Content-Type"] ?? "");
  return { statusCode: status, headers, body: streamOf(body, options, isJson) };
}

/** Pulls the chunks as they are taken; between JSON values blanks may stand at any time. */
function streamOf(
  chunks: AsyncIterable<Uint8Array>,
  { clock, log, closed, delivery }: ResponseOptions,
  blanks: boolean,
): Readable {
  const iterator = chunks[Symbol.asyncIterator]();
  let timer: Timer | undefined;
  let ending = false;
  const rest = (): void => {
    timer?.cancel();
    closed();
  };
  const blank = (milliseconds: number): void => {
    timer?.cancel();
    if (!blanks) return;
    timer = clock.timer(milliseconds, () => {
      if (stream.destroyed || stream.readableEnded) return;
      stream.push(newline);
      blank(beat);
    });
  };
  const take = (value: Uint8Array): void => {
    if (!blanks || delivery === undefined) return void stream.push(Buffer.from(value));
    stream.push(delivery === "padding" ? Buffer.concat([value, padding]) : Buffer.from(value));
    if (delivery === "close") ending = true;
    blank(delivery === "newline" ? nudge : beat);
  };
  const stream = new Readable({
    read() {
      const next = ending ? Promise.resolve(iterator.return?.()).then(() => undefined) : iterator.next();
      next.then(
        (step) => {
          if (step && !step.done) return take(step.value);
          rest();
          this.push(null);
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
  blank(beat);
  return stream;
}
