import type { Access, DialRequest, NodeRequest } from "#api/meta";
import type { AccessOptions } from "#auth";
import type { MetricRegistry } from "#metrics";
import type { Call, Resources } from "#resources";
import type { AuditSink } from "./audit.ts";
import type { RequestMetrics } from "./metrics.ts";
import type { ApiRequest, ApiResponse, ProxiedRequest } from "./request.ts";

/** The connections that agents have opened; the host owns them. */
export interface NodeLinks {
  /** Sends a request to a node's agent. Rejects with ApiError 503 when the node is not connected. */
  request(
    node: string,
    request: NodeRequest,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string>; body: AsyncIterable<Uint8Array> }>;
  /**
   * Passes a client's request on to a server in a pod, and its response back. Rejects with ApiError 503 when the node is
   * not connected or the server does not answer.
   */
  proxy(target: DialTarget, request: ApiRequest): Promise<Pick<ApiResponse, "status" | "headers" | "body">>;
}

/** A server in a pod, and the request for it. */
export interface DialTarget {
  node: string;
  request: DialRequest;
  proxied: ProxiedRequest;
}

/** Slots for watches, where several processes share them. */
export interface WatchPlaces {
  /**
   * Takes a slot for this many milliseconds; the result's `milliseconds` may be less. Throws ApiError 429 when none is
   * free. `leave` returns the slot, and never rejects.
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

/** How requests are authenticated and authorized, and what they are answered with. */
export interface ServerOptions extends AccessOptions {
  resources: Resources;
  /** Which requests without credentials are those of `system:anonymous`. Defaults to `everywhere`. */
  anonymous?: "everywhere" | "open-paths" | undefined;
  version: Version;
  links?: NodeLinks | undefined;
  limits?: Partial<Limits> | undefined;
  /** In addition to this process's own limit of watches. */
  watchPlaces?: WatchPlaces | undefined;
  /** Receives an event for every request but health checks, when it has been answered. Calls in process cause none. */
  audit?: AuditSink | undefined;
  /** Counts requests; /metrics returns all its metrics. Without it /metrics is not served. */
  metrics?: MetricRegistry | undefined;
  /** Named checks of /readyz besides the server's own; a check that throws or rejects has failed. */
  checks?: Readonly<Record<string, () => Promise<void> | void>> | undefined;
}

export interface Limits {
  /** Concurrent requests, without watches and connections. */
  inFlight: number;
  /** Concurrent watches. */
  watches: number;
  /** The least time after which a watch ends, in milliseconds; the most is twice that. For clients that name none. */
  watchTimeout: number;
  /** The interval of bookmarks, in milliseconds. */
  bookmarkEvery: number;
}

export const defaultLimits: Limits = {
  inFlight: 600,
  watches: 10_000,
  watchTimeout: 30 * 60_000,
  bookmarkEvery: 60_000,
};

/** What request handlers work with. */
export interface Server extends Omit<ServerOptions, "limits" | "metrics"> {
  access: Access;
  limits: Limits;
  metrics?: RequestMetrics | undefined;
  /** The requests and watches of this moment. */
  load: { inFlight: number; watches: number };
}

/** A request that has passed the filters. Its options have been read: a handler obeys them by using the resource service. */
export interface RequestScope extends Call {
  readonly server: Server;
  /** The path after the subresource `proxy`, with its slash; "" for every other request. */
  readonly rest: string;
}
