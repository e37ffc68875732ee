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
  ListRequest,
  ListResult,
  ObjectName,
  PatchRequest,
  WatchEvent,
  WatchRequest,
  WriteRequest,
} from "./port.ts";

export interface HttpClientOptions {
  /** Such as `https://127.0.0.1:6443`; a path before the API's own, such as a stage's, may follow. */
  server: string;
  /** The authority that the server's certificate must come from, in PEM. */
  ca?: string;
  /** Client certificate and key, in PEM. */
  certificate?: { cert: string; key: string };
  token?: string;
  /** Headers for each request, such as a signature over it. `body` is "" where there is none. */
  sign?: (request: { method: string; url: URL; body: string }) => Promise<Record<string, string>>;
  userAgent?: string;
  /** Watches end by themselves after so many seconds, with a bookmark: for servers that pay for each open one. */
  watchSeconds?: number;
  /** For waiting when the server is busy; the machine's own unless told. */
  clock?: Clock;
}

export interface HttpClient extends Client {
  /** Ends idle connections; what is under way goes on to its end. */
  close(): void;
}

interface Ask {
  method: string;
  path: string;
  query?: URLSearchParams;
  body?: unknown;
  type?: string;
  signal?: AbortSignal;
}

const pageSize = 500;
const busyAttempts = 10;
/** Connections for requests that end. */
const connections = 4;

/** The client port over HTTP, as an agent uses it. Watches reconnect never: that is the informer's work. */
export function httpClient(options: HttpClientOptions): HttpClient {
  const base = new URL(options.server);
  const secure = base.protocol === "https:";
  const tls = {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.certificate ? { cert: options.certificate.cert, key: options.certificate.key } : {}),
  };
  // A watch holds its connection for long; the others share a few, since each costs both sides a handshake.
  const agentOf = (sockets: number) => {
    const settings = { keepAlive: true, maxSockets: sockets };
    return secure ? new SecureAgent({ ...settings, ...tls }) : new Agent(settings);
  };
  const [agent, watching] = [agentOf(connections), agentOf(Number.POSITIVE_INFINITY)];

  const prefix = base.pathname.replace(/\/$/, "");
  const open = async ({ method, path, query, body, type, signal }: Ask): Promise<IncomingMessage> => {
    const content = body === undefined ? "" : stringifyJson(body);
    const text = content === "" ? undefined : Buffer.from(content);
    // A plus means a blank in forms; in what is signed it means itself.
    const search = query?.size ? `?${String(query).replaceAll("+", "%20")}` : "";
    const target = `${prefix}${path}${search}`;
    const signed = await options.sign?.({ method, url: new URL(target, base), body: content });
    return new Promise((resolve, reject) => {
      const settings = {
        agent: signal ? watching : agent,
        method,
        hostname: base.hostname,
        port: base.port,
        path: target,
        headers: {
          accept: "application/json",
          "user-agent": options.userAgent ?? "skiff",
          ...(text ? { "content-type": type ?? "application/json", "content-length": text.length } : {}),
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...signed,
        },
        ...(signal ? { signal } : {}),
      };
      const request = secure ? sendSecure(settings, resolve) : send(settings, resolve);
      request.once("error", reject);
      request.end(text);
    });
  };

  const ask = async (what: Ask, attempt = 1): Promise<Json> => {
    const response = await open(what);
    const body = await readAll(response);
    const pause = Number(response.headers["retry-after"] ?? 0);
    // A busy server has done nothing yet: the same request may go again, as client-go sends it.
    if (response.statusCode === 429 && pause > 0 && attempt < busyAttempts) {
      await sleep(options.clock ?? systemClock, pause * 1000);
      return ask(what, attempt + 1);
    }
    if ((response.statusCode ?? 500) >= 300) throw failure(response.statusCode ?? 500, body);
    return parseJson(body);
  };

  const write = <T extends KubernetesObject>(
    method: string,
    kind: Kind<T>,
    object: T,
    request: WriteRequest = {},
  ): Promise<T> => {
    const { namespace, name = "" } = object.metadata;
    const place =
      method === "POST" ? collection(kind, namespace) : objectPath(kind, { namespace, name }, request.subresource);
    const body = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
    return ask({ method, path: place, query: dryRun(request), body }).then((answer) => read(kind, answer));
  };

  return {
    get: <T extends KubernetesObject>(kind: Kind<T>, name: ObjectName) =>
      ask({ method: "GET", path: objectPath(kind, name) }).then((answer) => read(kind, answer)),
    async list<T extends KubernetesObject>(kind: Kind<T>, request: ListRequest = {}): Promise<ListResult<T>> {
      const query = selectors(request);
      query.set("limit", String(pageSize));
      const items: T[] = [];
      const shape = kind.shape;
      for (;;) {
        const page = (await ask({
          method: "GET",
          path: collection(kind, request.namespace),
          query,
        })) as unknown as ListAnswer<T>;
        items.push(...page.items.map((item) => withoutNulls(shape, item)));
        if (!page.metadata.continue) {
          const owned = request.owner === undefined ? items : items.filter((item) => owns(request.owner!, item));
          return { items: owned, revision: page.metadata.resourceVersion };
        }
        query.set("continue", page.metadata.continue);
      }
    },
    create: <T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest) =>
      write("POST", kind, object, request),
    update: <T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest) =>
      write("PUT", kind, object, request),
    patch: <T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, patch: unknown, request: PatchRequest) =>
      ask({
        method: "PATCH",
        path: objectPath(kind, name, request.subresource),
        query: dryRun(request),
        body: patch,
        type: patchTypes[request.type],
      }).then((answer) => read(kind, answer)),
    async remove<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, request = {}) {
      const { uid, revision, gracePeriodSeconds, propagation } = request as Parameters<Client["remove"]>[2] & object;
      const preconditions = { ...(uid ? { uid } : {}), ...(revision ? { resourceVersion: revision } : {}) };
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...(Object.keys(preconditions).length > 0 ? { preconditions } : {}),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
      };
      const answer = (await ask({ method: "DELETE", path: objectPath(kind, name), body })) as unknown as T | Status;
      if (answer.kind === "Status") return undefined;
      // Some kinds are shown once more when they go: what stays still has something to wait for.
      const { deletionTimestamp, finalizers } = (answer as T).metadata;
      const waits = gracePeriodSeconds !== 0 || !!finalizers?.length;
      return deletionTimestamp !== undefined && waits ? read(kind, answer) : undefined;
    },
    async act<T extends KubernetesObject>(
      kind: Kind<T>,
      name: ObjectName,
      subresource: string,
      body: KubernetesObject,
    ) {
      const answer = await ask({ method: "POST", path: objectPath(kind, name, subresource), body });
      return (answer as JsonObject)["kind"] === "Status" ? undefined : (answer as unknown as KubernetesObject);
    },
    watch: <T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest) =>
      watched<T>(open, kind, request, options.watchSeconds),
    close() {
      agent.destroy();
      watching.destroy();
    },
  };
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

/** What goes out is made by types, not by hand: nobody need look for fields that are not there. */
const dryRun = ({ dryRun: asked }: WriteRequest): URLSearchParams =>
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

/** What the server refused with; an answer that is no Status becomes one. */
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
  open: (ask: Ask) => Promise<IncomingMessage>,
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
    const response = await open({ method: "GET", path: collection(kind, request.namespace), query, signal });
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
