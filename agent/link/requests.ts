import type { ServerHttp2Stream } from "node:http2";
import { isRuntimeError, type LogOptions } from "#agent/runtime";
import type { LogOptions as Asked, NodeRequest } from "#api/meta";
import { ApiError, messageOf } from "#base";
import { decodeNodeRequest, logStart } from "#node-link";
import type { LinkOptions } from "./dial.ts";
import { loggedContainer } from "./pods.ts";
import { summary } from "./stats.ts";

/** Answers a plain request: for a container's log or about the node. */
export async function answer(options: LinkOptions, stream: ServerHttp2Stream, target: string): Promise<void> {
  try {
    const request = decodeNodeRequest(target);
    if (request?.type === "logs") return await logs(options, stream, request);
    if (request?.type === "statsSummary") return json(stream, 200, await summary(options));
    if (request?.type === "metrics" && options.metrics) return plain(stream, await options.metrics());
    if (request?.type === "healthz") return json(stream, 200, { ok: true });
    throw new ApiError(404, "NotFound", "the server could not find the requested resource");
  } catch (error) {
    refuse(stream, error);
  }
}

function json(stream: ServerHttp2Stream, status: number, body: unknown): void {
  if (stream.destroyed || stream.headersSent) return void stream.destroy();
  stream.respond({ ":status": status, "content-type": "application/json" });
  stream.end(JSON.stringify(body));
}

function plain(stream: ServerHttp2Stream, body: string): void {
  if (stream.destroyed || stream.headersSent) return void stream.destroy();
  stream.respond({ ":status": 200, "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  stream.end(body);
}

/** Whatever went wrong, as a Status. */
export function asStatus(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isRuntimeError(error, "notFound")) return new ApiError(404, "NotFound", error.message);
  return new ApiError(500, "InternalError", messageOf(error));
}

function refuse(stream: ServerHttp2Stream, error: unknown): void {
  const { status, code } = asStatus(error);
  json(stream, code, status);
}

async function logs(
  options: LinkOptions,
  stream: ServerHttp2Stream,
  { pod, container, options: asked }: Extract<NodeRequest, { type: "logs" }>,
): Promise<void> {
  const found = loggedContainer(options, pod.namespace, pod.name, { container, previous: asked.previous });
  const gone = new AbortController();
  stream.on("close", () => gone.abort());
  const bytes = options.runtime.streams.logs(found.id, logOptions(asked, options.clock.now(), gone.signal));
  // The first piece is taken before the answer begins, so that an error is one.
  const pieces = bytes[Symbol.asyncIterator]();
  try {
    const pending = pieces.next();
    const early = await Promise.race([pending.then(() => true), new Promise((done) => setImmediate(done, false))]);
    let piece = early ? await pending : undefined;
    if (stream.destroyed) return;
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    piece ??= await pending;
    while (!piece.done && !stream.destroyed) {
      if (!stream.write(piece.value)) await drained(stream);
      piece = await pieces.next();
    }
    stream.end();
  } finally {
    // A client that goes leaves it amid the file, which would stay open.
    await pieces.return?.();
  }
}

const drained = (stream: ServerHttp2Stream): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });

function logOptions(asked: Asked, now: number, signal: AbortSignal): LogOptions {
  const { follow, timestamps, tailLines, limitBytes } = asked;
  const since = logStart(asked, now);
  return {
    follow,
    timestamps,
    ...(since === undefined ? {} : { since }),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    signal,
  };
}
