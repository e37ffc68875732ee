import { isApiError, tooManyRequests } from "#base";
import { EventQueue, find } from "#resources";
import { negotiate } from "#wire";
import { includeObject, jsonType, protobufType } from "../answer.ts";
import { listParameters, revisionOf, selectionOf } from "../list-options.ts";
import { booleanOption, integerOption } from "../query.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";
import { encoderOf, protobufEncoder } from "./watch-events.ts";
import { WatchStream } from "./watch-stream.ts";

/**
 * GET of a collection with `watch`: a line of JSON per event. Without a revision (or with 0) the existing objects come
 * first; with `sendInitialEvents` a marked bookmark follows them (WatchList). An error after the stream has begun ends
 * it with an ERROR event.
 */
export async function watch(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { query } = request;
  const { server, resources, resource } = call;
  const format = negotiate(request.headers["accept"], { path: "watch" });
  const selection = selectionOf(resource.kind, call.namespace, query);
  listParameters(query, selection.prefix, true);
  const revision = revisionOf(query.get("resourceVersion") ?? "");
  const initial = booleanOption(query, "sendInitialEvents");
  const bookmarks = booleanOption(query, "allowWatchBookmarks") ?? false;
  if (server.load.watches >= server.limits.watches)
    throw tooManyRequests("too many watches, please try again later", 5);
  const timeout = timeoutOf(integerOption(query, "timeoutSeconds") ?? 0, call);
  const inProtobuf = format.encoding === "protobuf";
  const encoder = inProtobuf ? await protobufEncoder(call, format) : encoderOf(call, format, includeObject(request));
  const place = await server.watchPlaces?.take(timeout);
  const queue = new EventQueue(resources, resource, selection);
  // Upstream reads a watch without a revision as one that wants the initial events.
  const withObjects = initial ?? revision === 0;
  server.load.watches++;
  try {
    if (withObjects) {
      const parameters = { limit: 0, ...(revision > 0 ? { notOlderThan: revision } : {}) };
      const options = { type: resource.type, selection, parameters, signal: request.signal };
      const found = await find(resources, options).catch((error: unknown) => {
        // Upstream waits for the revision once the stream has begun, where the initial events were requested.
        if (!initial || !isApiError(error)) throw error;
        queue.fail(error);
      });
      if (found) {
        queue.start(found.entries);
        if (bookmarks) queue.bookmark(found.revision, true);
        await queue.follow(found.revision);
      }
    } else await queue.follow(revision > 0 ? revision : await resources.store.head(resource.type));
  } catch (error) {
    queue.end();
    server.load.watches--;
    await place?.leave();
    throw error;
  }
  const counted = server.metrics?.watching(resource.kind, call.namespace);
  const closed = (): Promise<void> | undefined => {
    server.load.watches--;
    counted?.();
    return place?.leave();
  };
  const stream = new WatchStream(call, queue, encoder);
  return {
    status: 200,
    headers: {
      "content-type": inProtobuf ? `${protobufType};stream=watch` : jsonType,
      "cache-control": "no-cache, private",
    },
    body: stream.open({ signal: request.signal, timeout: place?.milliseconds ?? timeout, bookmarks, closed }),
    ...(inProtobuf ? {} : { messages: "events" }),
  };
}

/** The longest time of a timer, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

/** The timeout of a watch in milliseconds, from the seconds of the request. */
function timeoutOf(seconds: number, { server, resources }: RequestScope): number {
  if (seconds > 0) return Math.min(seconds * 1000, longestTimer);
  return server.limits.watchTimeout * (1 + resources.random.fraction());
}
