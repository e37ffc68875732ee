import type { DialRequest, LogOptions, NodePath, NodeRequest, PodPlace, SessionStreams } from "#api/meta";
import { parseTime } from "#base";

/*
 * A request to a node as a path of the kubelet's own server: it is sent over a link, and a ticket is valid for it.
 */

/** The kubelet's names for the streams of a session. */
const streamNames = { stdin: "input", stdout: "output", stderr: "error", tty: "tty" } as const;
const flags = ["follow", "previous", "timestamps"] as const;
const numbers = ["sinceSeconds", "tailLines", "limitBytes"] as const;
const plainPaths = {
  configz: "/configz",
  healthz: "/healthz",
  metrics: "/metrics",
  metricsCadvisor: "/metrics/cadvisor",
  metricsResource: "/metrics/resource",
  pods: "/pods",
  runningPods: "/runningpods/",
  statsSummary: "/stats/summary",
  // Not a path of the kubelet: it is for the API server alone.
  usage: "/usage",
} as const satisfies Record<NodePath, string>;

/** The kubelet's path of the files in the node's `/var/log`. */
const logsPath = "/logs/";

/** The path of a request, with its query. */
export function encodeNodeRequest(request: NodeRequest): string {
  switch (request.type) {
    case "logs":
      return pathOf("containerLogs", request, logQuery(request.options));
    case "exec":
    case "attach": {
      const query = new URLSearchParams();
      for (const [name, kubeletName] of Object.entries(streamNames)) {
        if (request.streams[name as keyof SessionStreams]) query.set(kubeletName, "1");
      }
      if (request.type === "exec") for (const part of request.command) query.append("command", part);
      return pathOf(request.type, request, query);
    }
    case "portForward": {
      const query = new URLSearchParams(request.ports.length === 0 ? {} : { port: request.ports.join(",") });
      return pathOf("portForward", request, query);
    }
    case "dial":
      return dialPath(request);
    case "nodeLogs":
      return `${logsPath}${request.path.split("/").map(encodeURIComponent).join("/")}`;
    default:
      return plainPaths[request.type];
  }
}

/** The path of a connection to a pod, which kubelets do not have: `/dial/<namespace>/<pod>/<address>/<port>`. */
const dialPath = ({ pod, address, port }: DialRequest): string =>
  `/${["dial", pod.namespace, pod.name, address, String(port)].map(encodeURIComponent).join("/")}`;

interface PathTarget {
  pod: PodPlace;
  container?: string;
}

function pathOf(route: string, { pod, container }: PathTarget, query: URLSearchParams): string {
  const parts = [route, pod.namespace, pod.name, ...(container === undefined ? [] : [container])].map(
    encodeURIComponent,
  );
  const text = query.toString();
  return `/${parts.join("/")}${text === "" ? "" : `?${text}`}`;
}

function logQuery(options: LogOptions): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of flags) if (options[name]) query.set(name, "true");
  for (const name of numbers) if (options[name] !== undefined) query.set(name, String(options[name]));
  if (options.sinceTime !== undefined) query.set("sinceTime", options.sinceTime);
  return query;
}

/** Decodes a path of `encodeNodeRequest`. Undefined for any other. */
export function decodeNodeRequest(path: string): NodeRequest | undefined {
  const queryAt = path.indexOf("?");
  const pathname = queryAt < 0 ? path : path.slice(0, queryAt);
  const query = new URLSearchParams(queryAt < 0 ? "" : path.slice(queryAt + 1));
  for (const [type, known] of Object.entries(plainPaths)) {
    if (pathname === known) return { type: type as keyof typeof plainPaths };
  }
  const parts = partsOf(pathname);
  if (pathname.startsWith(logsPath)) return parts && { type: "nodeLogs", path: parts.slice(1).join("/") };
  const [route, namespace = "", name = "", container = ""] = parts ?? [];
  if (namespace === "" || name === "") return undefined;
  const pod = { namespace, name };
  if (route === "portForward" && parts!.length === 3) return { type: "portForward", pod, ports: portsOf(query) };
  if (route === "dial") return dialOf(pod, parts!);
  if (container === "" || parts!.length !== 4) return undefined;
  if (route === "containerLogs") return { type: "logs", pod, container, options: logOptionsOf(query) };
  const streams = streamsOf(query);
  if (route === "attach") return { type: "attach", pod, container, streams };
  if (route === "exec") return { type: "exec", pod, container, streams, command: query.getAll("command") };
  return undefined;
}

function dialOf(pod: PodPlace, parts: string[]): DialRequest | undefined {
  const [, , , address = "", port = ""] = parts;
  if (parts.length !== 5 || address === "" || !/^\d{1,5}$/.test(port)) return undefined;
  return { type: "dial", pod, address, port: Number(port) };
}

function partsOf(pathname: string): string[] | undefined {
  try {
    return pathname.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

const portsOf = (query: URLSearchParams): number[] =>
  query
    .getAll("port")
    .flatMap((text) => text.split(","))
    .map(Number);

function streamsOf(query: URLSearchParams): SessionStreams {
  const isOn = (name: keyof SessionStreams): boolean => ["1", "true"].includes(query.get(streamNames[name]) ?? "");
  return { stdin: isOn("stdin"), stdout: isOn("stdout"), stderr: isOn("stderr"), tty: isOn("tty") };
}

function logOptionsOf(query: URLSearchParams): LogOptions {
  const options: LogOptions = { follow: false, previous: false, timestamps: false };
  for (const name of flags) options[name] = query.get(name) === "true";
  for (const name of numbers) if (query.has(name)) options[name] = Number(query.get(name));
  const sinceTime = query.get("sinceTime");
  if (sinceTime !== null) options.sinceTime = sinceTime;
  return options;
}

/** The requested start of a log, in milliseconds since the epoch. Undefined: from its beginning. */
export function logStart({ sinceSeconds, sinceTime }: LogOptions, now: number): number | undefined {
  const since = sinceTime ? parseTime(sinceTime) : sinceSeconds === undefined ? undefined : now - sinceSeconds * 1000;
  return since === undefined || Number.isNaN(since) ? undefined : since;
}

/** What a request does, as part of a sentence. */
export function nodeRequestText({ type }: NodeRequest): string {
  if (type === "exec") return "running a command in a container";
  if (type === "attach") return "attaching to a container";
  if (type === "portForward") return "forwarding a port";
  if (type === "dial") return "connecting to a pod";
  if (type === "nodeLogs") return "reading a node's logs";
  return type === "logs" ? "reading a container's log" : `reading a node's ${plainPaths[type].slice(1)}`;
}
