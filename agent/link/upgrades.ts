import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer } from "ws";
import type { NodeRequest } from "#api/meta";
import { ApiError, badRequest, type Log, messageOf } from "#base";
import { decodeNodeRequest } from "#node-link";
import { spdyChannels, webSocketChannels } from "./channels.ts";
import { forwardOverSpdy, forwardOverWebSocket } from "./forward.ts";
import { type LinkedPods, runningContainer, sandboxesOf } from "./pods.ts";
import { asStatus } from "./requests.ts";
import { openSession, runSession } from "./session.ts";

export interface UpgradeOptions extends LinkedPods {
  log: Log;
}

/** Accepts clients' connections, each with the path that the server has authorized. */
export interface Upgrades {
  take(connection: Duplex, path: string): void;
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
/** The protocols that the kubelet and, for v5, the API server accept; "" for a client that names none. */
const sessionProtocols = {
  webSocket: [
    "",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "v5.channel.k8s.io",
  ],
  spdy: ["", "channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"],
};
const forwardProtocols = {
  webSocket: [tunnelled, "", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io"],
  spdy: ["", "portforward.k8s.io"],
};

/**
 * Accepts clients' connections: each is HTTP/1.1 from its request line on and requests an upgrade. Its target is not
 * read from the request but passed beside it, since only the server authorizes it.
 */
export function upgradeServer(options: UpgradeOptions): Upgrades {
  const targets = new WeakMap<Duplex, Session | Forward>();
  const server = createServer((_request, response) => {
    const { status } = badRequest("you must specify at least 1 of stdin, stdout, stderr, and upgrade the connection");
    response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(status));
  });
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => false });
  sockets.on("headers", (headers, request) => {
    const chosen = (request as Chosen).chosen;
    if (chosen) headers.push(`Sec-WebSocket-Protocol: ${chosen}`);
  });
  server.on("upgrade", (request, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const target = targets.get(socket);
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
      const request = decodeNodeRequest(path);
      if (request?.type === "exec" || request?.type === "attach" || request?.type === "portForward") {
        targets.set(connection, request);
      }
      server.emit("connection", connection);
    },
    close: () => {
      sockets.close();
      server.closeAllConnections();
    },
  };
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
  const { pod, container, streams } = target;
  // A terminal has one stream for both outputs.
  const requested = { ...streams, stderr: streams.stderr && !streams.tty };
  if (!requested.stdin && !requested.stdout && !requested.stderr) {
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  }
  const { id } = await runningContainer(options, pod, container);
  const command = target.type === "exec" ? target.command : undefined;
  const open = () => openSession(options.runtime.streams, { containerId: id, command }, requested);
  if (isWebSocket(upgrade.request)) {
    const chosen = choose(sessionProtocols.webSocket, offered(upgrade.request.headers["sec-websocket-protocol"]));
    const channels = webSocketChannels(await webSocket(upgrade, chosen), chosen, requested);
    return runSession(open, channels);
  }
  const chosen = choose(sessionProtocols.spdy, offered(upgrade.request.headers["x-stream-protocol-version"]));
  spdySwitch(upgrade, chosen);
  const client = { socket: upgrade.socket, head: upgrade.head, protocol: chosen };
  return runSession(open, await spdyChannels(client, requested));
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
    const chosen = choose(forwardProtocols.webSocket, offered(upgrade.request.headers["sec-websocket-protocol"]));
    const socket = await webSocket(upgrade, chosen);
    if (chosen === tunnelled) return forwardOverSpdy(createWebSocketStream(socket), undefined, forwarded);
    return forwardOverWebSocket({ socket, protocol: chosen, ports: target.ports }, forwarded);
  }
  const chosen = choose(forwardProtocols.spdy, offered(upgrade.request.headers["x-stream-protocol-version"]));
  spdySwitch(upgrade, chosen);
  return forwardOverSpdy(upgrade.socket, upgrade.head, forwarded);
}
