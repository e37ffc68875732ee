import type { Access, Kind, KubernetesObject, User } from "#api/meta";
import { clone, internalError, isApiError, type Json, messageOf, notFound } from "#base";
import type {
  Client,
  DeleteRequest,
  ListRequest,
  ObjectName,
  PatchRequest,
  WatchEvent,
  WatchRequest,
  WriteRequest,
} from "#client";
import { patchTypes } from "#patch";
import type { Change, Entry, Index } from "#store";
import { type Call, named } from "./call.ts";
import { command } from "./command.ts";
import { createObject } from "./create.ts";
import { EventQueue } from "./event-queue.ts";
import { atRevision, keyOf, objectAs } from "./objects.ts";
import { defaultOptions, type WriteOptions } from "./options.ts";
import { patcher } from "./patch.ts";
import type { Resource } from "./registry.ts";
import { removeObject } from "./remove.ts";
import type { Resources } from "./resources.ts";
import { reviewObject } from "./review.ts";
import { eventTypes, selection } from "./selection.ts";
import { updateObject } from "./update.ts";

/**
 * The client port in process: the same verbs, admission and validation as over HTTP, without bytes and without
 * authorization. Admission sees `user`.
 */
export function localClient(resources: Resources, user: User, access: Access): Client {
  return withApiErrors(new LocalClient(resources, user, access));
}

/** The port throws only ApiErrors: an error of the store or of the code becomes InternalError. */
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
    delete: (kind, name, request) => client.delete(kind, name, request).catch(failed),
    createSubresource: (kind, name, subresource, body) =>
      client.createSubresource(kind, name, subresource, body).catch(failed),
    watch: (kind, request) => client.watch(kind, request),
  };
}

/** Options of the client port as options of a write. */
const optionsOf = ({ dryRun }: WriteRequest): WriteOptions =>
  dryRun === undefined ? defaultOptions : { ...defaultOptions, dryRun };

class LocalClient implements Client {
  readonly #resources: Resources;
  readonly #user: User;
  readonly #access: Access;

  constructor(resources: Resources, user: User, access: Access) {
    this.#resources = resources;
    this.#user = user;
    this.#access = access;
  }

  #call(kind: Kind, name: ObjectName, subresource = "", options = defaultOptions): Call {
    return {
      resources: this.#resources,
      resource: this.#resources.registry.of(kind),
      user: this.#user,
      access: this.#access,
      namespace: kind.scope === "Cluster" ? "" : (name.namespace ?? ""),
      name: name.name,
      subresource,
      options,
      warnings: [],
    };
  }

  async get<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName): Promise<T> {
    const { resource, namespace } = this.#call(kind as Kind, name);
    const entry = await this.#resources.read(resource.type, keyOf(namespace, name.name));
    if (!entry) throw notFound(named(resource.kind), name.name);
    return objectAs(this.#resources, resource, entry) as T;
  }

  async list<T extends KubernetesObject>(
    kind: Kind<T>,
    request: ListRequest = {},
  ): Promise<{ items: T[]; revision: string }> {
    const resource = this.#resources.registry.of(kind as Kind);
    const found = await listed(this.#resources, resource, request);
    const items = found.entries.map((entry) => objectAs(this.#resources, resource, entry) as T);
    return { items, revision: String(found.revision) };
  }

  async create<T extends KubernetesObject>(kind: Kind<T>, object: T, request: WriteRequest = {}): Promise<T> {
    const name = { namespace: object.metadata.namespace, name: "" };
    const call = this.#call(kind as Kind, name, request.subresource, optionsOf(request));
    return (await createObject(call, clone<KubernetesObject>(object))).object as T;
  }

  async update<T extends KubernetesObject>(kind: Kind<T>, object: T, request: WriteRequest = {}): Promise<T> {
    const { namespace, name = "", uid } = object.metadata;
    const call = this.#call(kind as Kind, { namespace, name }, request.subresource, optionsOf(request));
    const next = () => clone<KubernetesObject>(object);
    return (await updateObject(call, { next, uid: uid || undefined })).object as T;
  }

  async patch<T extends KubernetesObject>(
    kind: Kind<T>,
    name: ObjectName,
    patch: unknown,
    request: PatchRequest,
  ): Promise<T> {
    const call = this.#call(kind as Kind, name, request.subresource, optionsOf(request));
    const sent = { type: patchTypes[request.type], patch: patch as Json, strict: [], fractions: [] };
    const apply = patcher(sent, call.options.fieldValidation);
    const next = (current: KubernetesObject) => apply(call.resource.kind, current).object;
    return (await updateObject(call, { next, isPatch: true })).object as T;
  }

  async delete<T extends KubernetesObject>(
    kind: Kind<T>,
    name: ObjectName,
    { uid, revision, gracePeriodSeconds, propagation }: DeleteRequest = {},
  ): Promise<T | undefined> {
    const preconditions = { uid, resourceVersion: revision };
    const options = { ...defaultOptions, preconditions, deletion: { gracePeriodSeconds, propagation } };
    const removed = await removeObject(this.#call(kind as Kind, name, "", options));
    return removed.gone ? undefined : (removed.object as T);
  }

  async createSubresource<T extends KubernetesObject>(
    kind: Kind<T>,
    name: ObjectName,
    subresource: string,
    body: KubernetesObject,
  ): Promise<KubernetesObject | undefined> {
    const call = this.#call(kind as Kind, name, subresource);
    const part = call.resource.kind.subresources?.[subresource];
    if (part?.type === "review") return reviewObject(call, part, clone(body));
    if (part?.type !== "command") throw new Error(`${kind.kind} has no subresource ${subresource} that takes a body`);
    await command(call, part, body);
    return undefined;
  }

  watch<T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest): AsyncIterable<WatchEvent<T>> {
    return watched(this.#resources, kind as Kind, request) as AsyncIterable<WatchEvent<T>>;
  }
}

async function listed(
  resources: Resources,
  { type, kind }: Resource,
  request: ListRequest,
): Promise<{ entries: Entry[]; revision: number }> {
  const selected = selection(kind, request.namespace ?? "", request.labels ?? [], request.fields ?? []);
  const { owner } = request;
  if (owner !== undefined && owner !== "") {
    const cache = await resources.cache(type);
    if (cache) {
      await cache.catchUp();
      const owned = [...cache.owned(owner)].filter(
        (entry) => entry.key.startsWith(selected.prefix) && selected.matches(entry.key, entry.index),
      );
      return { entries: owned, revision: cache.revision };
    }
  }
  const page = await resources.page(type, { prefix: selected.prefix });
  const isOwned = ({ owners }: Index): boolean =>
    owner === undefined || (owner === "" ? owners === undefined : (owners?.includes(owner) ?? false));
  const entries = page.entries.filter(({ key, index }) => isOwned(index) && selected.matches(key, index));
  return { entries, revision: page.revision };
}

/** A change as watches in process deliver it. */
export function eventOf(
  resources: Resources,
  kind: Kind,
  change: Change,
): Exclude<WatchEvent<KubernetesObject>, { type: "BOOKMARK" }> {
  const { type, entry, revision, previous } = change;
  return watchEvent(resources, resources.registry.of(kind), { type: eventTypes[type], entry, revision, previous });
}

interface ShownChange {
  type: "ADDED" | "MODIFIED" | "DELETED";
  entry: Entry;
  revision: number;
  previous: Entry | undefined;
}

/** The object before the change is parsed at its first use. */
function watchEvent(
  resources: Resources,
  resource: Resource,
  { type, entry, revision, previous }: ShownChange,
): Exclude<WatchEvent<KubernetesObject>, { type: "BOOKMARK" }> {
  return {
    type,
    object: shown(resources, resource, entry, revision),
    get previous() {
      return (previous && shown(resources, resource, previous, previous.revision)) as KubernetesObject;
    },
  };
}

function shown(resources: Resources, resource: Resource, entry: Entry, revision: number): KubernetesObject {
  const at = entry.revision === revision ? entry : { ...entry, revision, body: atRevision(entry.body, revision) };
  return objectAs(resources, resource, at);
}

async function* watched(
  resources: Resources,
  kind: Kind,
  request: WatchRequest,
): AsyncGenerator<WatchEvent<KubernetesObject>> {
  const { signal } = request;
  const resource = resources.registry.of(kind);
  const selected = selection(kind, request.namespace ?? "", request.labels ?? [], request.fields ?? []);
  const queue = new EventQueue(resources, resource, selected);
  const abort = () => queue.end();
  signal.addEventListener("abort", abort, { once: true });
  try {
    let from = Number(request.revision ?? 0);
    if (request.revision === undefined) {
      const found = await listed(resources, resource, request);
      queue.start(found.entries);
      queue.bookmark(found.revision, true);
      from = found.revision;
    }
    await queue.follow(from);
    while (!signal.aborted) {
      const item = queue.take();
      if (!item) {
        if (queue.isEnded) return;
        await queue.arrival();
      } else if ("error" in item) throw item.error;
      else if ("bookmark" in item) yield { type: "BOOKMARK", revision: String(item.bookmark), initial: item.initial };
      else yield watchEvent(resources, resource, { ...item.event, revision: item.revision, previous: item.previous });
    }
  } finally {
    signal.removeEventListener("abort", abort);
    queue.end();
  }
}
