import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer } from "ws";
import type { NodeRequest } from "#api/meta";
import { ApiError, badRequest, internalError, type Log, messageOf } from "#base";
import { decodeNodeRequest } from "#node-link";
import { spdyChannels, webSocketChannels } from "./channels.ts";
import { forwardOverSpdy, forwardOverWebSocket } from "./forward.ts";
import { type LinkedPods, runningContainer, sandboxesOf } from "./pods.ts";
import { asStatus } from "./requests.ts";
import { openSession, type RequestedStreams, runSession, type SessionStatus } from "./session.ts";

export interface UpgradeOptions extends LinkedPods {
  log: Log;
}

/** Accepts clients' connections. */
export interface Upgrades {
  /**
   * `path` is what the server has authorized. Undefined: the path of the connection's request line, which is the
   * server's own writing.
   */
  take(connection: Duplex, path: string | undefined): void;
  close(): void;
}

/** Requests for which a connection is upgraded. */
type Session = Extract<NodeRequest, { type: "exec" | "attach" }>;
type Forward = Extract<NodeRequest, { type: "portForward" }>;

/**
 * Kubernetes' own name for port-forward over WebSocket with SPDY frames inside. Its slash is not legal in a
 * subprotocol.
 */
const tunnelled = "SPDY/3.1+portforward.k8s.io";
/** The protocols that the kubelet accepts; "" for a client that names none. */
const sessionProtocols = {
  webSocket: ["", "channel.k8s.io", "base64.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"],
  spdy: ["", "channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io"],
};
/** The protocol that the API server translates for kubelets. It is chosen wherever the client offers it. */
const v5 = "v5.channel.k8s.io";
const forwardProtocols = {
  webSocket: ["", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"],
  spdy: ["", "portforward.k8s.io"],
};

/** The most bytes of a request's line and headers. The server accepts 1 MiB, and its encoding may be longer. */
const maxHeaderSize = 4 * 1024 * 1024;

/** The most bytes of a WebSocket message, as golang.org/x/net/websocket accepts them. */
const maxPayload = 32 * 1024 * 1024;

/**
 * Accepts clients' connections: each is HTTP/1.1 from its request line on and requests an upgrade. Only the server
 * authorizes its target: it is passed beside the request, or is the target of the connection's first request.
 */
export function upgradeServer(options: UpgradeOptions): Upgrades {
  const targets = new WeakMap<Duplex, Session | Forward | "first">();
  const server = createServer({ maxHeaderSize }, (request, response) => {
    targets.delete(request.socket);
    const { status } = badRequest("you must specify at least 1 of stdin, stdout, stderr, and upgrade the connection");
    response.writeHead(400, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(status));
  });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload,
    handleProtocols: () => false,
  });
  sockets.on("headers", (headers, request) => {
    const chosen = (request as Chosen).chosen;
    if (chosen) headers.push(`Sec-WebSocket-Protocol: ${chosen}`);
  });
  server.on("upgrade", (request, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const known = targets.get(socket);
    const target = known === "first" ? upgradeOf(request.url) : known;
    const work = !target
      ? Promise.reject(badRequest("no target"))
      : target.type === "portForward"
        ? forward(options, target, { sockets, request, socket, head })
        : session(options, target, { sockets, request, socket, head });
    work.catch((error) => {
      options.log.debug("an upgraded connection failed", { node: options.node, error: messageOf(error) });
      answerPlainly(socket, error);
    });
  });
  return {
    take: (connection, path) => {
      const target = path === undefined ? "first" : upgradeOf(path);
      if (target) targets.set(connection, target);
      server.emit("connection", connection);
    },
    close: () => {
      sockets.close();
      server.closeAllConnections();
    },
  };
}

function upgradeOf(path = ""): Session | Forward | undefined {
  const request = decodeNodeRequest(path);
  const isUpgraded = request?.type === "exec" || request?.type === "attach" || request?.type === "portForward";
  return isUpgraded ? request : undefined;
}

interface Chosen extends IncomingMessage {
  chosen?: string;
}

interface Upgrade {
  sockets: WebSocketServer;
  request: Chosen;
  socket: Duplex;
  head: Buffer;
}

/** An error before the upgrade is an ordinary HTTP response. */
function answerPlainly(socket: Duplex, error: unknown): void {
  if (socket.destroyed || socket.writableEnded) return;
  const { status, code } = asStatus(error);
  const body = JSON.stringify(status);
  const length = Buffer.byteLength(body);
  const headers = ["Content-Type: application/json", `Content-Length: ${length}`, "Connection: close"];
  socket.end([`HTTP/1.1 ${code} Refused`, ...headers, "", body].join("\r\n"));
}

const offered = (header: string | string[] | undefined): string[] =>
  (Array.isArray(header) ? header.join(",") : (header ?? ""))
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);

/**
 * The first protocol that the client offers and the server supports. Throws ApiError 403, as upstream does, without
 * one.
 */
function choose(known: string[], from: string[]): string {
  const found = (from.length === 0 ? [""] : from).find((name) => known.includes(name));
  if (found !== undefined) return found;
  const why = `requested protocol(s) are not supported: [${from.join(" ")}]; supports [${known.join(" ")}]`;
  throw new ApiError(403, "Forbidden", `unable to upgrade: ${why}`);
}

const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === "websocket";

/** Answers the WebSocket handshake with the chosen protocol. */
function webSocket({ sockets, request, socket, head }: Upgrade, chosen: string) {
  request.chosen = chosen;
  // The library refuses names with a slash; without the header it checks nothing.
  delete request.headers["sec-websocket-protocol"];
  return new Promise<import("ws").WebSocket>((resolve) => sockets.handleUpgrade(request, socket, head, resolve));
}

/** Answers the SPDY handshake. */
function spdySwitch({ socket }: Upgrade, chosen: string): void {
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1"];
  if (chosen !== "") lines.push(`X-Stream-Protocol-Version: ${chosen}`);
  socket.write([...lines, "", ""].join("\r\n"));
}

async function session(options: UpgradeOptions, target: Session, upgrade: Upgrade): Promise<void> {
  const { streams } = target;
  // A terminal has one stream for both outputs.
  const requested = { ...streams, stderr: streams.stderr && !streams.tty };
  const { headers } = upgrade.request;
  if (!isWebSocket(upgrade.request)) {
    const open = await sessionOf(options, target, requested);
    const chosen = choose(sessionProtocols.spdy, offered(headers["x-stream-protocol-version"]));
    spdySwitch(upgrade, chosen);
    const client = { socket: upgrade.socket, head: upgrade.head, protocol: chosen };
    return runSession(open, await spdyChannels(client, requested));
  }
  const protocols = offered(headers["sec-websocket-protocol"]);
  if (protocols.includes(v5)) {
    const channels = webSocketChannels(await webSocket(upgrade, v5), v5, requested);
    return sessionOf(options, target, requested).then(
      (open) => runSession(open, channels),
      (error) => channels.finish(translated(error)),
    );
  }
  const open = await sessionOf(options, target, requested);
  const chosen = choose(sessionProtocols.webSocket, protocols);
  return runSession(open, webSocketChannels(await webSocket(upgrade, chosen), chosen, requested));
}

/** Opens the session when it is called. Rejects when it cannot be opened: before the upgrade this is a response. */
async function sessionOf(
  options: UpgradeOptions,
  target: Session,
  requested: RequestedStreams,
): Promise<() => ReturnType<typeof openSession>> {
  if (!requested.stdin && !requested.stdout && !requested.stderr) {
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  }
  const { id } = await runningContainer(options, target.pod, target.container);
  const command = target.type === "exec" ? target.command : undefined;
  return () => openSession(options.runtime.streams, { containerId: id, command }, requested);
}

/**
 * A refusal as clients of v5 receive it: upstream's API server upgrades them before it connects to the kubelet, and
 * wraps the kubelet's answer (StreamTranslatorHandler; seen on v1.37.2).
 */
const translated = (error: unknown): SessionStatus =>
  internalError(`unable to upgrade connection: ${messageOf(error)}`).status;

/** The ports of a client of channels. Throws ApiError 400 with the kubelet's texts (NewV4Options). */
function channelPorts({ ports }: Forward): number[] {
  if (ports.length === 0) throw badRequest('query parameter "port" is required');
  for (const port of ports) if (!(port > 0 && port < 65_536)) throw badRequest(`port "${port}" must be > 0`);
  return ports;
}

async function forward(options: UpgradeOptions, target: Forward, upgrade: Upgrade): Promise<void> {
  const { namespace, name } = target.pod;
  const { sandboxes, pod } = await sandboxesOf(options, target.pod);
  const sandbox = sandboxes.findLast(({ state }) => state === "ready");
  if (!sandbox) throw badRequest(`pod ${name} is not running`);
  const forwarded = {
    streams: options.runtime.streams,
    sandboxId: sandbox.id,
    label: `${name}_${namespace}, uid ${pod.metadata.uid}`,
  };
  if (isWebSocket(upgrade.request)) {
    const protocols = offered(upgrade.request.headers["sec-websocket-protocol"]);
    if (protocols.includes(tunnelled)) {
      const socket = await webSocket(upgrade, tunnelled);
      const stream = createWebSocketStream(socket);
      // It would wait until all that was written to it has been sent.
      socket.on("close", () => stream.destroy());
      return forwardOverSpdy(stream, undefined, forwarded);
    }
    const ports = channelPorts(target);
    const chosen = choose(forwardProtocols.webSocket, protocols);
    return forwardOverWebSocket({ socket: await webSocket(upgrade, chosen), protocol: chosen, ports }, forwarded);
  }
  const chosen = choose(forwardProtocols.spdy, offered(upgrade.request.headers["x-stream-protocol-version"]));
  spdySwitch(upgrade, chosen);
  return forwardOverSpdy(upgrade.socket, upgrade.head, forwarded);
}
