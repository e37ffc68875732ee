import type { AdmissionContext, AdmissionRequest, Plugin } from "#admission";
import type { Kind, NodeRequest } from "#api/meta";
import type { Authenticator, Authorizer, RuleResolver, TokenAuthority, User } from "#auth";
import type { Clock, Log, Random } from "#base";
import type { MetricRegistry } from "#metrics";
import type { Cache, Entry, Page, Store } from "#store";
import type { AuditSink } from "./audit.ts";
import type { RequestMetrics } from "./metrics.ts";
import type { Registry, Resource } from "./registry.ts";

/** The way to the agents, which dial in; the host gives it. */
export interface NodeLinks {
  /** Sends a request to a node's agent. Rejects with ApiError 503 when the node is not connected. */
  request(
    node: string,
    request: NodeRequest,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string>; body: AsyncIterable<Uint8Array> }>;
}

/** Places for watches, where more than one process hands them out. */
export interface WatchPlaces {
  /**
   * Takes a place for so long, in milliseconds; `milliseconds` says for how long it was given, which may be less.
   * Throws ApiError 429 when there is none. `leave` gives it back, and never rejects.
   */
  take(milliseconds: number): Promise<{ milliseconds: number; leave(): Promise<void> }>;
}

export interface Version {
  major: string;
  minor: string;
  gitVersion: string;
  gitCommit: string;
  gitTreeState: string;
  buildDate: string;
  goVersion: string;
  compiler: string;
  platform: string;
}

export interface ServerOptions {
  store: Store;
  registry: Registry;
  clock: Clock;
  random: Random;
  log: Log;
  authenticators: readonly Authenticator[];
  /** Where a request without credentials is taken for one of `system:anonymous`; `everywhere` unless given. */
  anonymous?: "everywhere" | "open-paths";
  authorize: Authorizer;
  /** What is known of people's rights, for kinds that ask; nobody has any unless given. */
  rules?: RuleResolver;
  /** Makes and checks tokens, and tells others how to check them; none are issued unless given. */
  tokens?: TokenAuthority;
  admission: readonly Plugin[];
  version: Version;
  /** A cache per storage type that is kept warm, where one is; without one the store is read. */
  cache?: (type: string) => Promise<Cache> | undefined;
  links?: NodeLinks;
  limits?: Partial<Limits>;
  /** Beside this process's own limit of watches. */
  watchPlaces?: WatchPlaces;
  /** Hears of every request but health checks, when it has been answered; never of what this process does itself. */
  audit?: AuditSink;
  /** Where the server counts its requests; /metrics shows all that is in it. Without it there is no such path. */
  metrics?: MetricRegistry;
  /** Named checks of /readyz beside the server's own; each throws or rejects with what is wrong. */
  checks?: Readonly<Record<string, () => Promise<void> | void>>;
}

export interface Limits {
  /** Requests at work at once, watches and connections aside. */
  inFlight: number;
  /** Watches at once. */
  watches: number;
  /** How long a watch lives unless the client says, in milliseconds: at least, and at most twice that. */
  watchTimeout: number;
  /** How often a watch that wants bookmarks gets one, in milliseconds. */
  bookmarkEvery: number;
}

export const defaultLimits: Limits = {
  inFlight: 600,
  watches: 10_000,
  watchTimeout: 30 * 60_000,
  bookmarkEvery: 60_000,
};

/** What every verb works with. */
export interface Server extends Omit<ServerOptions, "limits" | "metrics"> {
  limits: Limits;
  metrics?: RequestMetrics;
  /** Whoever works inside the server (admission plugins) uses the API as this. */
  admissionContext: AdmissionContext;
  /** What is going on now. */
  load: { inFlight: number; watches: number };
}

/** A request that has passed the filters, or a call from inside. */
export interface Call {
  server: Server;
  resource: Resource;
  user: User;
  /** "" where there is none. */
  namespace: string;
  name: string;
  subresource: string;
  /** What follows the subresource `proxy` in the path. */
  rest?: string;
  dryRun: boolean;
  /** Told to the client as Warning headers. */
  warnings: string[];
}

/** Warns the client, of one at a time: a function takes some 120,000 arguments, and an object may be worth more warnings. */
export function warn({ warnings }: Call, texts: readonly string[]): void {
  for (const text of texts) warnings.push(text);
}

/** A patch that is applied again after a lost race warns again: what it said before goes. */
export function replaceWarnings(call: Call, warnings: readonly string[]): void {
  const { deprecation } = call.resource.kind;
  call.warnings.length = 0;
  warn(call, deprecation === undefined ? warnings : [deprecation, ...warnings]);
}

export const kindOf = (call: Call): Kind => call.resource.kind;
export const named = (kind: Kind): { group: string; resource: string } => ({
  group: kind.group,
  resource: kind.plural,
});

/** Reads one object as it is now: from the warm cache where there is one, from the store otherwise. */
export async function readEntry(server: Server, type: string, key: string): Promise<Entry | undefined> {
  const cache = await server.cache?.(type);
  if (!cache) return server.store.get(type, key);
  await cache.catchUp();
  return cache.get(key);
}

/** A snapshot that holds everything acknowledged before the call. */
export async function readPage(
  server: Server,
  type: string,
  options: { prefix?: string; after?: string; limit?: number } = {},
): Promise<Page> {
  const cache = await server.cache?.(type);
  if (!cache) return server.store.list(type, options);
  await cache.catchUp();
  return cache.list(options);
}

export const admissionRequest = (
  call: Call,
  operation: AdmissionRequest["operation"],
  objects: Partial<Pick<AdmissionRequest, "object" | "previous">>,
): AdmissionRequest => ({
  operation,
  kind: call.resource.kind,
  subresource: call.subresource,
  namespace: call.namespace,
  name: call.name,
  user: call.user,
  dryRun: call.dryRun,
  ...objects,
});

/** Runs the plugins' first pass in order; those that ran are undone when a later one refuses. */
export async function mutate(server: Server, request: AdmissionRequest): Promise<void> {
  for (const [index, plugin] of server.admission.entries()) {
    try {
      await plugin.mutate?.(request, server.admissionContext);
    } catch (error) {
      await undo(server, request, index);
      throw error;
    }
  }
}

export async function validate(server: Server, request: AdmissionRequest): Promise<void> {
  for (const plugin of server.admission) await plugin.validate?.(request, server.admissionContext);
}

/** Lets the plugins clean up after a write that stands. Never throws: what stays behind is found by its repair. */
export async function settle(server: Server, request: AdmissionRequest): Promise<void> {
  if (request.dryRun) return;
  for (const plugin of server.admission) {
    try {
      await plugin.settle?.(request, server.admissionContext);
    } catch (error) {
      server.log.warn("an admission plugin could not finish after a write", { plugin: plugin.name, error });
    }
  }
}

/** Takes back what the first `count` plugins prepared. Never throws: what stays behind is found by its repair. */
export async function undo(server: Server, request: AdmissionRequest, count = server.admission.length): Promise<void> {
  for (const plugin of server.admission.slice(0, count)) {
    try {
      await plugin.undo?.(request, server.admissionContext);
    } catch (error) {
      server.log.warn("an admission plugin could not take back what it had prepared", { plugin: plugin.name, error });
    }
  }
}
