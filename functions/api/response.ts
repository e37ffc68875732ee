import { Readable } from "node:stream";
import type { ApiResponse } from "#apiserver";
import { type Clock, type Log, messageOf, type Timer } from "#base";
import type { StreamedAnswer } from "#hosts/aws";

/** Milliseconds between newlines that keep a quiet stream open and detect a client that has disconnected. */
const beat = 10_000;
const newline = Buffer.from("\n");
/** Milliseconds until the newline that pushes an event out when the runtime holds back small writes. */
const nudge = 20;
/** More than any amount that Lambda's runtime was seen to hold back. */
const padding = Buffer.from(`${" ".repeat(100 * 1024 - 1)}\n`);

/**
 * How events reach a client at once although the runtime may hold back small writes: a newline follows each batch, or
 * padding of a hundred kilobytes, or the stream ends after the batch and the client watches again.
 */
export type Delivery = "newline" | "padding" | "close";

export interface ResponseOptions {
  /** For watches. Other responses are sent unchanged. */
  delivery?: Delivery | undefined;
  clock: Clock;
  log: Log;
  /** Called when the client has disconnected or everything was sent. */
  closed: () => void;
}

/**
 * The response in the form that middy streams: text and Readables only. A body that fails ends there and never throws,
 * since that would end the process: the server has reported the error in the stream.
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

/** Pulls chunks as the client reads them. Blanks are allowed between JSON values at any time. */
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
