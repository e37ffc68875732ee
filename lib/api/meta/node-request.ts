/** A pod by its place. */
export interface PodPlace {
  namespace: string;
  name: string;
}

/** The options of a container's log, as in PodLogOptions; an absent member is no limit. */
export interface LogOptions {
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  sinceSeconds?: number;
  /** RFC 3339. */
  sinceTime?: string;
  tailLines?: number;
  limitBytes?: number;
}

/** The streams of a command that a client attaches to. */
export interface SessionStreams {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** A connection to a port of a pod, at an address of the pod's own. */
export interface DialRequest {
  type: "dial";
  pod: PodPlace;
  address: string;
  port: number;
}

/** A request of the API server to a kubelet. */
export type NodeRequest =
  | { type: "logs"; pod: PodPlace; container: string; options: LogOptions }
  | { type: "exec"; pod: PodPlace; container: string; streams: SessionStreams; command: string[] }
  | { type: "attach"; pod: PodPlace; container: string; streams: SessionStreams }
  | { type: "portForward"; pod: PodPlace; ports: number[] }
  | DialRequest
  | { type: NodePath }
  | NodeLogsRequest;

/** A file or folder below the node's `/var/log`: the kubelet's /logs/. */
export interface NodeLogsRequest {
  type: "nodeLogs";
  /** Without a leading slash; "" is the folder itself. */
  path: string;
}

/** Information about a node, each a path of the kubelet's server. */
export type NodePath =
  | "configz"
  | "healthz"
  | "metrics"
  | "metricsCadvisor"
  | "metricsResource"
  | "pods"
  | "runningPods"
  | "statsSummary"
  | "usage";

/** The target of proxied requests: a server in a pod, or without `dial` the node's kubelet. */
export interface ProxyTarget {
  node: string;
  dial?: DialRequest;
}
