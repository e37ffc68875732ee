import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { type Duplex, PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { createWebSocketStream, type WebSocket } from "ws";
import type { DialRequest, NodeRequest } from "#api/meta";
import type { NodeLinks } from "#apiserver";
import { badRequest, type Clock, type Log, serviceUnavailable, watchdog } from "#base";
import { encodeNodeRequest, linkSessionMemory } from "#node-link";
import { type Dial, proxyRequest } from "./proxy/index.ts";

/*
 * The server's side of the link. An agent connects by WebSocket (GET /link/<node>); HTTP/2 then runs over it, with the
 * agent as the server. Requests (logs, stats) are ordinary HTTP/2 requests. A connection that a client has upgraded
 * (exec, attach, port-forward) is passed through by CONNECT: the client's own HTTP/1.1 behind a request line that the
 * server writes, and the agent's response to it.
 */

export interface Links extends NodeLinks {
  /** Adds the link of an agent; a newer link replaces an older one. */
  add(node: string, socket: WebSocket): void;
  /** Opens a byte stream to the node's agent for a connection that was upgraded. Throws ApiError 503 without a link. */
  tunnel(node: string, request: NodeRequest): Duplex;
  /**
   * Connects to a port of a pod through its node's agent. Rejects with the agent's reason when the pod does not accept
   * the connection, and with ApiError 503 without a link.
   */
  dial: Dial;
  /** Whether a node's agent is connected. */
  has(node: string): boolean;
  close(): void;
}

/** Milliseconds without an answer to a ping after which a link counts as broken. */
const pingMilliseconds = 15_000;

/** Bytes of a request's path that fit the link: nghttp2 ends a session that sends more than 64 KiB of headers. */
const longestPath = 60_000;

/** The requests that need a connection of the client's own. */
const upgraded: readonly NodeRequest["type"][] = ["exec", "attach", "portForward"];

/** The links of agents, by the names of their nodes; empty at first. */
export function createLinks(log: Log, clock: Clock): Links {
  const links = new Map<string, { session: ClientHttp2Session; socket: WebSocket }>();
  const sessionOf = (node: string): ClientHttp2Session => {
    const session = links.get(node)?.session;
    if (!session || session.closed || session.destroyed)
      throw serviceUnavailable(`the agent of node ${node} is not connected`);
    return session;
  };
  const tunnel: Links["tunnel"] = (node, request) => {
    const path = encodeNodeRequest(request);
    // The agent reads a longer one, a long command's, from the request line that follows.
    const header = path.length <= longestPath ? path : "";
    const stream = sessionOf(node).request({ ":method": "CONNECT", ":authority": "agent", "x-path": header });
    // The agent has ended it. What it has sent is still read; a write that waits for its window never ends.
    stream.on("aborted", () => {
      if (stream.readableEnded) stream.destroy();
      else stream.once("end", () => stream.destroy());
    });
    return stream;
  };
  const dial: Dial = ({ node, request }) => dialed(tunnel(node, request) as ClientHttp2Stream, node, request);
  return {
    add(node, socket) {
      // First of all: data that arrives on an open socket without a stream is lost.
      const duplex = createWebSocketStream(socket);
      const session = connect("http://agent", { createConnection: () => duplex, maxSessionMemory: linkSessionMemory });
      const failed = (error: Error) => log.debug("a link failed", { node, error: error.message });
      session.on("error", failed);
      duplex.on("error", failed);
      // A session ends with its transport. Ended before it, it would still write to it, and Node fails with an
      // assertion that cannot be caught.
      socket.on("close", () => duplex.destroy());
      // An agent whose machine has vanished is silent, and clients would wait for it.
      const quiet = watchdog({
        clock,
        every: pingMilliseconds,
        ask: (answered) => {
          if (!session.destroyed) session.ping((error) => void (error ?? answered()));
        },
        broken: () => socket.terminate(),
      });
      session.on("close", () => {
        quiet();
        if (links.get(node)?.session === session) links.delete(node);
        socket.terminate();
      });
      const older = links.get(node);
      links.set(node, { session, socket });
      older?.socket.terminate();
    },
    async request(node, request, signal) {
      // Upstream's UpgradeAwareHandler with UpgradeRequired.
      if (upgraded.includes(request.type)) throw badRequest("Upgrade request required");
      const path = encodeNodeRequest(request);
      if (path.length > longestPath)
        throw badRequest(`the request is too long for the node's link: limit is ${longestPath}`);
      const stream = sessionOf(node).request({ ":method": "GET", ":path": path }, { endStream: true });
      const abort = () => stream.close(constants.NGHTTP2_CANCEL);
      signal.addEventListener("abort", abort, { once: true });
      stream.once("close", () => signal.removeEventListener("abort", abort));
      // Buffered at once: a stream that has ended before its first read cannot be read any more.
      const body = new PassThrough();
      stream.pipe(body);
      stream.once("close", () => body.end());
      const { status, headers } = await answerOf(stream, node);
      return { status, headers, body };
    },
    tunnel,
    dial,
    proxy: (target, request) => proxyRequest(dial, target, request),
    has: (node) => links.has(node),
    close() {
      for (const { socket } of links.values()) socket.terminate();
    },
  };
}

function answerOf(
  stream: ClientHttp2Stream,
  node: string,
): Promise<{ status: number; headers: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    stream.once("response", (received) => {
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(received)) {
        if (!name.startsWith(":") && value !== undefined) headers[name] = String(value);
      }
      resolve({ status: Number(received[":status"] ?? 200), headers });
    });
    stream.once("error", (error) =>
      reject(serviceUnavailable(`the agent of node ${node} did not answer: ${error.message}`)),
    );
    stream.once("close", () => reject(serviceUnavailable(`the agent of node ${node} did not answer`)));
  });
}

/** The agent's stream once it is connected to the pod. */
async function dialed(stream: ClientHttp2Stream, node: string, { address, port }: DialRequest): Promise<Duplex> {
  const { status } = await answerOf(stream, node);
  if (status === 200) return stream;
  const reason = await text(stream).catch(() => "");
  throw new Error(`dial tcp ${address}:${port}: ${reason || `status ${status}`}`);
}
