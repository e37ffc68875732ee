import type { ServerHttp2Stream } from "node:http2";
import { isRuntimeError, type LogOptions } from "#agent/runtime";
import type { NodeRequest, LogOptions as RequestedOptions } from "#api/meta";
import { ApiError, messageOf } from "#base";
import { decodeNodeRequest, logStart } from "#node-link";
import type { LinkOptions } from "./dial.ts";
import { configz, podList, runningPods } from "./node-info.ts";
import { serveLogs } from "./node-logs.ts";
import { loggedContainer } from "./pods.ts";

/** Answers a request for a container's log, or about the node. */
export async function answer(options: LinkOptions, stream: ServerHttp2Stream, target: string): Promise<void> {
  try {
    const request = decodeNodeRequest(target);
    if (request?.type === "logs") return await logs(options, stream, request);
    if (request?.type === "metrics" && options.metrics) return plain(stream, await options.metrics());
    if (options.stats && request) {
      const { stats } = options;
      if (request.type === "statsSummary") return json(stream, 200, await stats.summary());
      if (request.type === "usage") return json(stream, 200, await stats.usage());
      if (request.type === "metricsResource") return plain(stream, await stats.resource());
      if (request.type === "metricsCadvisor") return plain(stream, await stats.cadvisor());
    }
    if (request?.type === "nodeLogs") return await serveLogs(stream, options.logFolder ?? "/var/log", request.path);
    if (request?.type === "healthz") return plain(stream, "ok");
    if (request?.type === "pods") return json(stream, 200, podList(options.list?.() ?? []));
    if (request?.type === "runningPods") return json(stream, 200, podList(await runningPods(options)));
    if (request?.type === "configz") return json(stream, 200, await configz(options));
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

/** Any error as a Status. */
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
  { pod, container, options: requested }: Extract<NodeRequest, { type: "logs" }>,
): Promise<void> {
  const found = loggedContainer(options, pod, { container, previous: requested.previous });
  const closed = new AbortController();
  stream.on("close", () => closed.abort());
  const bytes = options.runtime.streams.logs(found.id, logOptions(requested, options.clock.now(), closed.signal));
  // The first piece is read before the response is started, so that an error becomes a Status.
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
    // When the client disconnects, the file would stay open otherwise.
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

function logOptions(requested: RequestedOptions, now: number, signal: AbortSignal): LogOptions {
  const { follow, timestamps, tailLines, limitBytes } = requested;
  return { follow, timestamps, tailLines, limitBytes, since: logStart(requested, now), signal };
}
