import { type Kind, type KubernetesObject, messageShapeOf } from "#api/meta";
import type { User } from "#auth";
import {
  clone,
  type Deferred,
  deferred,
  expired,
  internalError,
  isApiError,
  type Json,
  type JsonObject,
  messageOf,
  notFound,
} from "#base";
import type { Client, ListRequest, ObjectName, WatchEvent, WatchRequest, WriteRequest } from "#client";
import { jsonPatch, mergePatch, strategicMerge } from "#patch";
import { type Change, Compacted, type Entry, type Index } from "#store";
import { receive } from "#wire";
import { createObject } from "./create-object.ts";
import { follow } from "./feed.ts";
import { atRevision, keyOf, objectAs, typed } from "./objects.ts";
import type { Resource } from "./registry.ts";
import { removeObject } from "./remove.ts";
import { seen, selection } from "./selection.ts";
import { type Call, named, readEntry, readPage, type Server } from "./server.ts";
import { act } from "./subresources/action.ts";
import { ask } from "./subresources/question.ts";
import { updateObject } from "./update-object.ts";

/**
 * The client port served in process: the same verbs, admission and validation as over HTTP, without bytes and
 * without authorization. `user` is who admission sees.
 */
export function localClient(server: Server, user: User): Client {
  return withApiErrors(bareClient(server, user));
}

/** The port promises ApiErrors alone: what a store or a fault in the code throws becomes InternalError. */
function withApiErrors(client: Client): Client {
  const failed = (error: unknown): never => {
    throw isApiError(error) ? error : internalError(messageOf(error), error);
  };
  return {
    get: (kind, name) => client.get(kind, name).catch(failed),
    list: (kind, request) => client.list(kind, request).catch(failed),
    create: (kind, object, request) => client.create(kind, object, request).catch(failed),
    update: (kind, object, request) => client.update(kind, object, request).catch(failed),
    patch: (kind, name, patch, request) => client.patch(kind, name, patch, request).catch(failed),
    remove: (kind, name, request) => client.remove(kind, name, request).catch(failed),
    act: (kind, name, subresource, body) => client.act(kind, name, subresource, body).catch(failed),
    watch: (kind, request) => client.watch(kind, request),
  };
}

function bareClient(server: Server, user: User): Client {
  const callOf = (kind: Kind, name: ObjectName, request: WriteRequest = {}): Call => ({
    server,
    resource: server.registry.of(kind),
    user,
    namespace: kind.scope === "Cluster" ? "" : (name.namespace ?? ""),
    name: name.name,
    subresource: request.subresource ?? "",
    dryRun: request.dryRun ?? false,
    warnings: [],
  });
  return {
    async get<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName) {
      const call = callOf(kind as Kind, name);
      const entry = await readEntry(server, call.resource.type, keyOf(call.namespace, call.name));
      if (!entry) throw notFound(named(call.resource.kind), name.name);
      return objectAs(server, call.resource, entry) as T;
    },
    async list<T extends KubernetesObject>(kind: Kind<T>, request: ListRequest = {}) {
      const resource = server.registry.of(kind as Kind);
      const found = await listed(server, resource.type, resource.kind, request);
      const items = found.entries.map((entry) => objectAs(server, resource, entry) as T);
      return { items, revision: String(found.revision) };
    },
    async create<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest) {
      const call = callOf(kind as Kind, { namespace: object.metadata.namespace, name: "" }, request);
      return (await createObject(call, clone<KubernetesObject>(object))).object as T;
    },
    async update<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest) {
      const { namespace, name = "" } = object.metadata;
      const call = callOf(kind as Kind, { namespace, name }, request);
      return (
        await updateObject(call, { next: () => clone<KubernetesObject>(object), uid: object.metadata.uid || undefined })
      ).object as T;
    },
    async patch<T extends KubernetesObject>(
      kind: Kind<T>,
      name: ObjectName,
      patch: unknown,
      request: WriteRequest & { type: "merge" | "json" | "strategic" },
    ) {
      const call = callOf(kind as Kind, name, request);
      const next = (current: KubernetesObject) => patched(call.resource.kind, current, patch as Json, request.type);
      return (await updateObject(call, { next })).object as T;
    },
    async remove<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, request = {}) {
      const removed = await removeObject(callOf(kind as Kind, name), request);
      return removed.gone ? undefined : (removed.object as T);
    },
    async act<T extends KubernetesObject>(
      kind: Kind<T>,
      name: ObjectName,
      subresource: string,
      body: KubernetesObject,
    ) {
      const call = callOf(kind as Kind, name, { subresource });
      const part = call.resource.kind.subresources?.[subresource];
      if (part?.type === "question") return ask(call, part, clone(body));
      if (part?.type !== "action") throw new Error(`${kind.kind} has no subresource ${subresource} that takes a body`);
      await act(call, part, body);
      return undefined;
    },
    watch: <T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest) =>
      watched(server, kind as Kind, request) as AsyncIterable<WatchEvent<T>>,
  };
}

function patched(
  kind: Kind,
  current: KubernetesObject,
  patch: Json,
  type: "merge" | "json" | "strategic",
): KubernetesObject {
  const before = typed(kind, current) as unknown as JsonObject;
  let after: Json;
  if (type === "json") after = jsonPatch(before, patch);
  else if (type === "merge") after = mergePatch(before, patch);
  else after = strategicMerge(messageShapeOf(kind.schema), before, patch as JsonObject);
  return receive(kind, { json: after, strict: [] }, "Ignore").object as unknown as KubernetesObject;
}

async function listed(
  server: Server,
  type: string,
  kind: Kind,
  request: ListRequest,
): Promise<{ entries: Entry[]; revision: number }> {
  const selected = selection(kind, request.namespace ?? "", request.labels ?? [], request.fields ?? []);
  if (request.owner !== undefined && request.owner !== "") {
    const cache = await server.cache?.(type);
    if (cache) {
      await cache.catchUp();
      const owned = [...cache.owned(request.owner)].filter(
        (entry) => entry.key.startsWith(selected.prefix) && selected.matches(entry.key, entry.index),
      );
      return { entries: owned, revision: cache.revision };
    }
  }
  const page = await readPage(server, type, { prefix: selected.prefix });
  const { owner } = request;
  const isOwned = ({ owners }: Index): boolean =>
    owner === undefined || (owner === "" ? owners === undefined : (owners?.includes(owner) ?? false));
  const entries = page.entries.filter(({ key, index }) => isOwned(index) && selected.matches(key, index));
  return { entries, revision: page.revision };
}

/** A change as watchers in process see it. */
export function eventOf(
  server: Server,
  kind: Kind,
  change: Change,
): Exclude<WatchEvent<KubernetesObject>, { type: "BOOKMARK" }> {
  const resource = server.registry.of(kind);
  const { previous } = change;
  return {
    type: eventTypes[change.type],
    object: shown(server, resource, change.entry, change.revision),
    get previous() {
      return (previous && shown(server, resource, previous, previous.revision)) as KubernetesObject;
    },
  };
}

const eventTypes = { create: "ADDED", update: "MODIFIED", delete: "DELETED" } as const;

function shown(server: Server, resource: Resource, entry: Entry, revision: number): KubernetesObject {
  const at = entry.revision === revision ? entry : { ...entry, revision, body: atRevision(entry.body, revision) };
  return objectAs(server, resource, at);
}

async function* watched(
  server: Server,
  kind: Kind,
  request: WatchRequest,
): AsyncGenerator<WatchEvent<KubernetesObject>> {
  const resource = server.registry.of(kind);
  const selected = selection(kind, request.namespace ?? "", request.labels ?? [], request.fields ?? []);
  const show = (entry: Entry, revision: number) => shown(server, resource, entry, revision);
  let from = Number(request.revision ?? 0);
  if (request.revision === undefined) {
    const found = await listed(server, resource.type, kind, request);
    for (const entry of found.entries) yield { type: "ADDED", object: show(entry, entry.revision) };
    yield { type: "BOOKMARK", revision: String(found.revision), initial: true };
    from = found.revision;
  }
  const queue: { change?: Change; error?: unknown }[] = [];
  let wake: Deferred<void> | undefined;
  const push = (item: (typeof queue)[number]) => {
    queue.push(item);
    wake?.resolve();
  };
  const stop = await follow(server, resource.type, from, {
    changes: (changes) => {
      for (const change of changes) push({ change });
    },
    lost: (error) => push({ error }),
  }).catch((error: unknown) => {
    throw readable(error);
  });
  const abort = () => wake?.resolve();
  request.signal.addEventListener("abort", abort, { once: true });
  try {
    while (!request.signal.aborted) {
      const item = queue.shift();
      if (!item) {
        wake = deferred();
        await wake.promise;
        continue;
      }
      if (!item.change) throw readable(item.error);
      const { change } = item;
      const event = seen(selected, change);
      if (!event) continue;
      yield {
        type: event.type,
        object: show(event.entry, change.revision),
        get previous() {
          return (change.previous && show(change.previous, change.previous.revision)) as KubernetesObject;
        },
      };
    }
  } finally {
    request.signal.removeEventListener("abort", abort);
    stop();
  }
}

const readable = (error: unknown): unknown =>
  error instanceof Compacted ? expired(`too old resource version (${error.floor})`) : error;
