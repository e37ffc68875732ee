import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer } from "ws";
import type { NodeRequest } from "#api/meta";
import { ApiError, badRequest, type Log, messageOf } from "#base";
import { decodeNodeRequest } from "#node-link";
import { spdyChannels, webSocketChannels } from "./channels.ts";
import { forwardOverSpdy, forwardOverWebSocket } from "./forward.ts";
import { type LinkedPods, lookUp, runningContainer } from "./pods.ts";
import { asStatus } from "./requests.ts";
import { openSession, runSession } from "./session.ts";

export interface UpgradeOptions extends LinkedPods {
  log: Log;
}

/** Takes clients' connections, each with the path that the server has allowed. */
export interface Upgrades {
  take(connection: Duplex, path: string): void;
  close(): void;
}

/** Requests for which a connection is upgraded. */
type Session = Extract<NodeRequest, { type: "exec" | "attach" }>;
type Forward = Extract<NodeRequest, { type: "portForward" }>;

/** Kubernetes's own name for port-forward over WebSocket: SPDY frames inside. The slash is legal to nobody else. */
const tunnelled = "SPDY/3.1+portforward.k8s.io";
/** What the kubelet and, for v5, the API server take; "" is a client that names none. */
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
 * Takes clients' connections: each is HTTP/1.1 from its request line on, and wants to be upgraded. What it wants is
 * not read from the request but given beside it, since only the server decides that.
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

/** Before the upgrade, an error is an ordinary answer. */
function answerPlainly(socket: Duplex, error: unknown): void {
  if (socket.destroyed || socket.writableEnded) return;
  const { status, code } = asStatus(error);
  const body = JSON.stringify(status);
  const length = Buffer.byteLength(body);
  socket.end(
    `HTTP/1.1 ${code} Refused\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const offered = (header: string | string[] | undefined): string[] =>
  (Array.isArray(header) ? header.join(",") : (header ?? ""))
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);

/** The first that the client offers and the server knows. Throws ApiError 403, as upstream answers, without one. */
function choose(known: string[], from: string[]): string {
  const found = (from.length === 0 ? [""] : from).find((name) => known.includes(name));
  if (found !== undefined) return found;
  const why = `requested protocol(s) are not supported: [${from.join(" ")}]; supports [${known.join(" ")}]`;
  throw new ApiError(403, "Forbidden", `unable to upgrade: ${why}`);
}

const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === "websocket";

/** Answers the WebSocket handshake with the protocol that was chosen. */
function webSocket({ sockets, request, socket, head }: Upgrade, chosen: string) {
  request.chosen = chosen;
  // Its own check refuses names with a slash, and what it does not see it does not check.
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
  const asked = { ...streams, stderr: streams.stderr && !streams.tty };
  if (!asked.stdin && !asked.stdout && !asked.stderr) {
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  }
  const { id } = await runningContainer(options, pod.namespace, pod.name, container);
  const command = target.type === "exec" ? target.command : undefined;
  const open = () => openSession(options.runtime.streams, id, command, asked);
  if (isWebSocket(upgrade.request)) {
    const chosen = choose(sessionProtocols.webSocket, offered(upgrade.request.headers["sec-websocket-protocol"]));
    const channels = webSocketChannels(await webSocket(upgrade, chosen), chosen, asked);
    return runSession(open, channels);
  }
  const chosen = choose(sessionProtocols.spdy, offered(upgrade.request.headers["x-stream-protocol-version"]));
  spdySwitch(upgrade, chosen);
  const client = { socket: upgrade.socket, head: upgrade.head, protocol: chosen };
  return runSession(open, await spdyChannels(client, asked));
}

async function forward(options: UpgradeOptions, target: Forward, upgrade: Upgrade): Promise<void> {
  const { namespace, name } = target.pod;
  const { sandboxes, pod } = await lookUp(options, namespace, name);
  const sandbox = sandboxes.findLast(({ state }) => state === "ready");
  if (!sandbox) throw badRequest(`pod ${name} is not running`);
  const place = {
    streams: options.runtime.streams,
    sandboxId: sandbox.id,
    label: `${name}_${namespace}, uid ${pod.metadata.uid}`,
  };
  if (isWebSocket(upgrade.request)) {
    const chosen = choose(forwardProtocols.webSocket, offered(upgrade.request.headers["sec-websocket-protocol"]));
    const socket = await webSocket(upgrade, chosen);
    if (chosen === tunnelled) return forwardOverSpdy(createWebSocketStream(socket), undefined, place);
    return forwardOverWebSocket({ socket, protocol: chosen, ports: target.ports }, place);
  }
  const chosen = choose(forwardProtocols.spdy, offered(upgrade.request.headers["x-stream-protocol-version"]));
  spdySwitch(upgrade, chosen);
  return forwardOverSpdy(upgrade.socket, upgrade.head, place);
}
