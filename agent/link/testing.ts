import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";
import type { Runtime } from "#agent/runtime";
import { SpdyConnection } from "#agent/runtime/spdy";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import type { Pod } from "#api";
import { silentLog, systemClock } from "#base";
import { createLinks, type Links } from "#hosts/https";
import { decodeNodeRequest } from "#node-link";
import { Link, type LinkOptions } from "./index.ts";

/** A server with the link of one node, `n`, that passes each upgrade on as it arrives. */
export interface LinkedServer {
  /** Such as `http://127.0.0.1:1234`; its paths are those of requests to nodes. */
  url: string;
  links: Links;
  close(): Promise<void>;
}

/** Starts a server and an agent with these pods, and waits for the link. */
export async function linkedServer(
  runtime: Runtime,
  pods: ReadonlyMap<string, Pod>,
  more: Pick<LinkOptions, "logFolder"> = {},
): Promise<LinkedServer> {
  const links = createLinks(silentLog, systemClock);
  const agents = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const server = createServer({ maxHeaderSize: 4 * 1024 * 1024 }).on("upgrade", (incoming, socket: Duplex, head) => {
    if (incoming.url === "/link/n") {
      return agents.handleUpgrade(incoming, socket, head, (webSocket) => links.add("n", webSocket));
    }
    const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
    for (const [name, value] of Object.entries(incoming.headers)) lines.push(`${name}: ${value}`);
    const stream = links.tunnel("n", decodeNodeRequest(incoming.url ?? "")!);
    stream.on("error", () => socket.destroy());
    stream.write(`${lines.join("\r\n")}\r\n\r\n`);
    stream.write(head);
    stream.pipe(socket);
    socket.pipe(stream);
    socket.on("error", () => {}).on("close", () => stream.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const find = (_namespace: string, name: string) => pods.get(name);
  const link = new Link({ ...more, server: url, node: "n", runtime, find, clock: systemClock, log: silentLog });
  while (!links.has("n")) await new Promise((resolve) => setTimeout(resolve, 5));
  return {
    url,
    links,
    close: async () => {
      await link.stop();
      links.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Starts a pod with one container, `main`. */
export async function startPod(runtime: Runtime, name: string, container: object): Promise<Pod> {
  const uid = `uid-${name}`;
  const sandbox = plainSandbox({ name, namespace: "default", uid, logDirectory: "" });
  const { id: imageId } = await runtime.images.pull("busybox");
  const { id: sandboxId } = await runtime.pods.runSandbox(sandbox);
  const spec = plainContainer({ image: "busybox", imageId, ...container });
  const id = await runtime.pods.startContainer({ sandboxId, sandbox, container: spec });
  const status = { containerStatuses: [{ name: "main", state: { running: {} }, containerID: `fake://${id}` }] };
  const metadata = { name, namespace: "default", uid };
  return { metadata, spec: { containers: [{ name: "main" }] }, status } as unknown as Pod;
}

/** Upgrades a connection to SPDY. `answered` is the protocol that the server has chosen. */
export async function spdyClient(
  url: string,
  protocols: string,
): Promise<{ connection: SpdyConnection; answered: string }> {
  const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocols };
  const outgoing = request(url, { method: "POST", headers }).end();
  const [response, socket, head] = await Promise.race([
    once(outgoing, "upgrade"),
    once(outgoing, "response").then(([{ statusCode }]) => Promise.reject(new Error(`status ${statusCode}`))),
  ]);
  const answered = String(response.headers["x-stream-protocol-version"] ?? "");
  return { connection: new SpdyConnection(socket, { head }), answered };
}

/** Port-forward as kubectl opens it since 1.31: SPDY in the messages of a WebSocket. */
export async function tunnelledClient(url: string): Promise<{ connection: SpdyConnection }> {
  const protocol = "SPDY/3.1+portforward.k8s.io";
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": protocol,
  };
  // The package refuses the protocol's name, for its slash.
  const outgoing = request(url, { headers }).end();
  const [response, socket, head] = await once(outgoing, "upgrade");
  if (response.headers["sec-websocket-protocol"] !== protocol) throw new Error("another protocol was chosen");
  const webSocket = new WebSocket(null as unknown as string, undefined, {}) as WebSocket & {
    setSocket(socket: Duplex, head: Buffer, options: object): void;
  };
  // Created without an address it takes the server's role.
  Object.assign(webSocket, { _isServer: false });
  webSocket.setSocket(socket, head, { maxPayload: 1e8, allowSynchronousEvents: true, skipUTF8Validation: true });
  const duplex = createWebSocketStream(webSocket);
  // A client that ends without a closing handshake.
  const connection = new SpdyConnection(duplex);
  connection.close = () => webSocket.terminate();
  return { connection };
}
