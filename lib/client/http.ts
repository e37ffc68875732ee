import { Agent, type IncomingMessage, request as send } from "node:http";
import { Agent as SecureAgent, request as sendSecure } from "node:https";
import { apiVersionOf, formatSelector, type Kind, type KubernetesObject, withoutNulls } from "#api/meta";
import {
  ApiError,
  type Clock,
  type Json,
  type JsonObject,
  parseJson,
  type Status,
  sleep,
  stringifyJson,
  systemClock,
} from "#base";
import { patchTypes } from "#patch";
import { jsonLines } from "./lines.ts";
import type {
  Client,
  DeleteRequest,
  ListRequest,
  ListResult,
  ObjectName,
  WatchEvent,
  WatchRequest,
  WriteRequest,
} from "./port.ts";

export interface HttpClientOptions {
  /** Such as `https://127.0.0.1:6443`, with an optional path prefix such as a stage's. */
  server: string;
  /** The certificate authority of the server, in PEM. */
  ca?: string;
  /** Client certificate and key, in PEM. */
  certificate?: { cert: string; key: string };
  token?: string;
  /** Headers for each request, such as a signature over it. `body` is "" where there is none. */
  sign?: (request: { method: string; url: URL; body: string }) => Promise<Record<string, string>>;
  userAgent?: string;
  /** Watches end after this many seconds, with a bookmark: for servers whose open watches cost money. */
  watchSeconds?: number;
  /** For pauses when the server is busy. Defaults to the system's clock. */
  clock?: Clock;
}

export interface HttpClient extends Client {
  /** Closes idle connections; requests in flight are completed. */
  close(): void;
}

interface ClientRequest {
  method: string;
  path: string;
  query?: URLSearchParams;
  body?: unknown;
  type?: string;
  signal?: AbortSignal;
}

const pageSize = 500;
const busyAttempts = 10;
/** Connections for requests other than watches. */
const connections = 4;

/** The connections to a server. */
class Connection {
  readonly #options: HttpClientOptions;
  readonly #base: URL;
  readonly #isSecure: boolean;
  readonly #agent: Agent;
  readonly #watchAgent: Agent;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#base = new URL(options.server);
    this.#isSecure = this.#base.protocol === "https:";
    // Each watch has its own connection; other requests share a few, which saves handshakes.
    this.#agent = this.#agentOf(connections);
    this.#watchAgent = this.#agentOf(Number.POSITIVE_INFINITY);
  }

  #agentOf(maxSockets: number): Agent {
    const { ca, certificate } = this.#options;
    const settings = { keepAlive: true, maxSockets };
    if (!this.#isSecure) return new Agent(settings);
    const tls = { ...(ca === undefined ? {} : { ca }), ...certificate };
    return new SecureAgent({ ...settings, ...tls });
  }

  /** Sends a request; a request with a signal has a connection of its own. Resolves with the head of the answer. */
  async open({ method, path, query, body, type, signal }: ClientRequest): Promise<IncomingMessage> {
    const { sign, token, userAgent = "skiff" } = this.#options;
    const { hostname, port, pathname } = this.#base;
    const content = body === undefined ? "" : stringifyJson(body);
    const text = content === "" ? undefined : Buffer.from(content);
    // A plus means a blank in forms; in a signature it means itself.
    const search = query?.size ? `?${String(query).replaceAll("+", "%20")}` : "";
    const target = `${pathname.replace(/\/$/, "")}${path}${search}`;
    const signed = await sign?.({ method, url: new URL(target, this.#base), body: content });
    const headers = {
      accept: "application/json",
      "user-agent": userAgent,
      ...(text ? { "content-type": type ?? "application/json", "content-length": text.length } : {}),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...signed,
    };
    const agent = signal ? this.#watchAgent : this.#agent;
    const settings = { agent, method, hostname, port, path: target, headers, ...(signal ? { signal } : {}) };
    return new Promise((resolve, reject) => {
      const request = this.#isSecure ? sendSecure(settings, resolve) : send(settings, resolve);
      request.once("error", reject);
      request.end(text);
    });
  }

  /** Sends a request and reads the whole answer. Throws the ApiError that the server answered with. */
  async request(request: ClientRequest, attempt = 1): Promise<Json> {
    const response = await this.open(request);
    const body = await readAll(response);
    const pause = Number(response.headers["retry-after"] ?? 0);
    // A busy server has done nothing yet: the same request may be sent again, as client-go does.
    if (response.statusCode === 429 && pause > 0 && attempt < busyAttempts) {
      await sleep(this.#options.clock ?? systemClock, pause * 1000);
      return this.request(request, attempt + 1);
    }
    if ((response.statusCode ?? 500) >= 300) throw failure(response.statusCode ?? 500, body);
    return parseJson(body);
  }

  close(): void {
    this.#agent.destroy();
    this.#watchAgent.destroy();
  }
}

/** The client port over HTTP, as an agent uses it. A watch that ends is not opened again: informers do that. */
export function httpClient(options: HttpClientOptions): HttpClient {
  const connection = new Connection(options);
  return {
    get: async (kind, name) => {
      const path = objectPath(kind, name);
      return read(kind, await connection.request({ method: "GET", path }));
    },
    list: (kind, request = {}) => list(connection, kind, request),
    create: async (kind, object, request = {}) => {
      const path = collection(kind, object.metadata.namespace);
      const sent = { method: "POST", path, query: writeQuery(request), body: typed(kind, object) };
      return read(kind, await connection.request(sent));
    },
    update: async (kind, object, request = {}) => {
      const { namespace, name = "" } = object.metadata;
      const path = objectPath(kind, { namespace, name }, request.subresource);
      const sent = { method: "PUT", path, query: writeQuery(request), body: typed(kind, object) };
      return read(kind, await connection.request(sent));
    },
    patch: async (kind, name, patch, request) => {
      const path = objectPath(kind, name, request.subresource);
      const type = patchTypes[request.type];
      const sent = { method: "PATCH", path, query: writeQuery(request), body: patch, type };
      return read(kind, await connection.request(sent));
    },
    delete: (kind, name, request = {}) => remove(connection, kind, { name, request }),
    createSubresource: async (kind, name, subresource, body) => {
      const answer = await connection.request({ method: "POST", path: objectPath(kind, name, subresource), body });
      return (answer as JsonObject)["kind"] === "Status" ? undefined : (answer as unknown as KubernetesObject);
    },
    watch: (kind, request) => watched(connection, kind, request, options.watchSeconds),
    close: () => connection.close(),
  };
}

const typed = (kind: Pick<Kind, "group" | "version" | "kind">, object: KubernetesObject): object => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  ...object,
});

/** Lists in pages. Owners are compared here: the API has no selector for them. */
async function list<T extends KubernetesObject>(
  connection: Connection,
  kind: Kind<T>,
  { namespace, owner, ...request }: ListRequest,
): Promise<ListResult<T>> {
  const query = selectors(request);
  query.set("limit", String(pageSize));
  const items: T[] = [];
  for (;;) {
    const answer = await connection.request({ method: "GET", path: collection(kind, namespace), query });
    const page = answer as unknown as ListAnswer<T>;
    items.push(...page.items.map((item) => withoutNulls(kind.shape, item)));
    if (!page.metadata.continue) {
      const owned = owner === undefined ? items : items.filter((item) => owns(owner, item));
      return { items: owned, revision: page.metadata.resourceVersion };
    }
    query.set("continue", page.metadata.continue);
  }
}

async function remove<T extends KubernetesObject>(
  connection: Connection,
  kind: Kind<T>,
  { name, request }: { name: ObjectName; request: DeleteRequest },
): Promise<T | undefined> {
  const { uid, revision, gracePeriodSeconds, propagation } = request;
  const preconditions = { ...(uid ? { uid } : {}), ...(revision ? { resourceVersion: revision } : {}) };
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(Object.keys(preconditions).length > 0 ? { preconditions } : {}),
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
  };
  const answer = await connection.request({ method: "DELETE", path: objectPath(kind, name), body });
  const object = answer as unknown as T | Status;
  if (object.kind === "Status") return undefined;
  // Some kinds are returned when they are deleted: an object that still exists waits for something.
  const { deletionTimestamp, finalizers } = (object as T).metadata;
  const waits = gracePeriodSeconds !== 0 || !!finalizers?.length;
  return deletionTimestamp !== undefined && waits ? read(kind, object) : undefined;
}

/** An object of an answer as it is in memory. */
const read = <T extends KubernetesObject>(kind: Kind<T>, answer: unknown): T => withoutNulls(kind.shape, answer as T);

interface ListAnswer<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[];
}

const owns = (uid: string, { metadata: { ownerReferences = [] } }: KubernetesObject): boolean =>
  uid === "" ? ownerReferences.length === 0 : ownerReferences.some((owner) => owner.uid === uid);

type AnyKind = Pick<Kind, "group" | "version" | "plural" | "scope">;

function collection(kind: AnyKind, namespace: string | undefined): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  if (kind.scope === "Cluster" || namespace === undefined) return `${root}/${kind.plural}`;
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${kind.plural}`;
}

const objectPath = (kind: AnyKind, { namespace, name }: ObjectName, subresource?: string): string =>
  `${collection(kind, namespace)}/${encodeURIComponent(name)}${subresource === undefined ? "" : `/${subresource}`}`;

/** Objects of the control plane are typed: the server need not check for unknown fields. */
const writeQuery = ({ dryRun: asked }: WriteRequest): URLSearchParams =>
  new URLSearchParams({ fieldValidation: "Ignore", ...(asked ? { dryRun: "All" } : {}) });

function selectors({ labels, fields }: Pick<ListRequest, "labels" | "fields">): URLSearchParams {
  const query = new URLSearchParams();
  if (labels?.length) query.set("labelSelector", formatSelector(labels));
  if (fields?.length) {
    const terms = fields.map(
      ({ field, equal, value }) => `${field}${equal ? "=" : "!="}${value.replace(/[\\,=]/g, "\\$&")}`,
    );
    query.set("fieldSelector", terms.join(","));
  }
  return query;
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** The error that the server answered with; an answer that is no Status becomes one. */
function failure(code: number, body: string): ApiError {
  let status: Partial<Status> = {};
  try {
    status = JSON.parse(body) as Status;
  } catch {
    status = { message: body.trim() };
  }
  const error = new ApiError(
    code,
    status.reason ?? "Unknown",
    status.message ?? `the server answered ${code}`,
    status.details,
  );
  return error;
}

const initialEventsEnd = "k8s.io/initial-events-end";

async function* watched<T extends KubernetesObject>(
  connection: Connection,
  kind: Kind<T>,
  request: WatchRequest,
  seconds: number | undefined,
): AsyncGenerator<WatchEvent<T>> {
  const { signal } = request;
  const query = selectors(request);
  query.set("watch", "true");
  query.set("allowWatchBookmarks", "true");
  if (seconds !== undefined) query.set("timeoutSeconds", String(seconds));
  if (request.revision === undefined) {
    query.set("sendInitialEvents", "true");
    query.set("resourceVersionMatch", "NotOlderThan");
  } else query.set("resourceVersion", request.revision);
  try {
    const response = await connection.open({ method: "GET", path: collection(kind, request.namespace), query, signal });
    if (response.statusCode !== 200) throw failure(response.statusCode ?? 500, await readAll(response));
    for await (const line of jsonLines(response)) {
      const event = parseJson(line) as unknown as { type: string; object: T };
      if (event.type === "ERROR") {
        const status = event.object as unknown as Status;
        throw new ApiError(
          status.code ?? 500,
          status.reason ?? "Unknown",
          status.message ?? "the watch failed",
          status.details,
        );
      }
      if (event.type === "BOOKMARK") {
        const { resourceVersion = "", annotations } = event.object.metadata;
        yield { type: "BOOKMARK", revision: resourceVersion, initial: annotations?.[initialEventsEnd] === "true" };
      } else yield { type: event.type as "ADDED", object: read(kind, event.object) };
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
