import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { type WebSocket, WebSocketServer } from "ws";
import type { LambdaFunction } from "./runtime.ts";
import type { Principal, Signed } from "./signatures.ts";

/*
 * API Gateway's WebSocket API as documented, over the routes of the synthesized template: who may connect, the delivery
 * of messages, and `@connections`, by which functions post to connections.
 */

export interface SocketOptions {
  routes: readonly { key: string; authorization: string; function: string }[];
  stage: string;
  /** Functions by name; called when one is invoked. */
  functionNamed: (name: string) => LambdaFunction;
  signer: Signed;
  tls: { key: string; cert: string };
  /** The delays of a message's copies, in milliseconds; empty when it is lost. Defaults to one without delay. */
  weather?: SocketWeather;
}

/** Called with messages that arrive, and with those that functions send. */
export type SocketWeather = (direction: "in" | "out", text: string) => readonly number[];

export interface SocketFront {
  /** `wss://…`, for agents. */
  dial: string;
  /** `https://…`, for functions. */
  manage: string;
  /** Messages that functions sent to the connected. */
  readonly pushed: number;
  /** Connections that are open. */
  readonly open: number;
  stop(): Promise<void>;
}

const frameLimit = 32 * 1024;

interface Connection {
  id: string;
  socket: WebSocket;
  principal: Principal | undefined;
}

export async function startSocket(options: SocketOptions): Promise<SocketFront> {
  const connections = new Map<string, Connection>();
  let pushed = 0;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameLimit });
  const server = createServer(options.tls, (request, response) => {
    push(request, response, options, connections).then(
      (is) => {
        if (is) pushed++;
      },
      () => response.writeHead(500).end(),
    );
  });
  server.on("upgrade", (request, socket: Duplex, head: Buffer) => {
    connect(options, request).then(
      ({ status, principal, id }) => {
        if (status !== 200) return void socket.end(`HTTP/1.1 ${status} \r\nconnection: close\r\n\r\n`);
        sockets.handleUpgrade(request, socket, head, (open) => serve(options, { id, socket: open, principal }));
      },
      () => socket.end("HTTP/1.1 500 \r\nconnection: close\r\n\r\n"),
    );
  });
  const serve = (from: SocketOptions, connection: Connection): void => {
    const { id, socket } = connection;
    connections.set(id, connection);
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.close(1003, "Binary is not supported");
      const requestId = randomUUID();
      const text = String(data);
      arriving(from, "in", text, () => {
        call(from, "$default", { ...contextOf(connection, "MESSAGE"), requestId }, text).catch(() =>
          socket.send(JSON.stringify({ message: "Internal server error", connectionId: id, requestId })),
        );
      });
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      connections.delete(id);
      // Delivered at most once, asynchronously.
      call(from, "$disconnect", contextOf(connection, "DISCONNECT")).catch(() => {});
    });
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}/${options.stage}`;
  return {
    dial: `wss://${place}`,
    manage: `https://${place}`,
    get pushed() {
      return pushed;
    },
    get open() {
      return connections.size;
    },
    async stop() {
      for (const { socket } of connections.values()) {
        socket.removeAllListeners("close");
        socket.terminate();
      }
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Runs an action once for each delivered copy, after its delay. */
function arriving({ weather }: SocketOptions, direction: "in" | "out", text: string, run: () => void): void {
  for (const delay of weather?.(direction, text) ?? [0]) {
    if (delay === 0) run();
    else setTimeout(run, delay);
  }
}

const contextOf = ({ id, principal }: Pick<Connection, "id" | "principal">, eventType: string) => ({
  routeKey: eventType === "MESSAGE" ? "$default" : `$${eventType.toLowerCase()}`,
  eventType,
  connectionId: id,
  identity: {
    sourceIp: "127.0.0.1",
    userArn: principal?.arn ?? null,
    accountId: principal?.account ?? null,
    user: principal?.id ?? null,
    caller: principal?.id ?? null,
  },
});

function call(
  { routes, functionNamed }: SocketOptions,
  key: string,
  requestContext: object,
  body?: string,
  headers?: Record<string, string>,
) {
  const route = routes.find((each) => each.key === key);
  if (!route) throw new Error(`no route ${key}`);
  const more = { ...(body === undefined ? {} : { body }), ...(headers === undefined ? {} : { headers }) };
  const event = { requestContext, isBase64Encoded: false, ...more };
  return functionNamed(route.function).call(event) as Promise<{ statusCode?: number } | undefined>;
}

async function connect(options: SocketOptions, request: IncomingMessage) {
  const id = randomUUID().replaceAll("-", "").slice(0, 16);
  const { pathname } = new URL(request.url ?? "/", "http://socket");
  const route = options.routes.find(({ key }) => key === "$connect");
  if (pathname !== `/${options.stage}` || !route) return { status: 403, principal: undefined, id };
  const principal = options.signer(request);
  if (route.authorization === "AWS_IAM" && !principal) return { status: 403, principal, id };
  const headers: Record<string, string> = {};
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    headers[request.rawHeaders[at]!] = request.rawHeaders[at + 1]!;
  const answer = await call(options, "$connect", contextOf({ id, principal }, "CONNECT"), undefined, headers);
  return { status: answer?.statusCode ?? 500, principal, id };
}

/** `POST /<stage>/@connections/<id>`: true when it was sent. */
async function push(
  request: IncomingMessage,
  response: ServerResponse,
  options: SocketOptions,
  connections: ReadonlyMap<string, Connection>,
): Promise<boolean> {
  const refuse = (status: number, name: string): false => {
    response.writeHead(status, { "x-amzn-errortype": name, "content-type": "application/json" });
    response.end(JSON.stringify({ message: name }));
    return false;
  };
  const { pathname } = new URL(request.url ?? "/", "http://socket");
  const id = decodeURIComponent(pathname).match(`^/${options.stage}/@connections/([^/]+)$`)?.[1];
  const body = await text(request);
  if (!/\/execute-api\/aws4_request/.test(request.headers.authorization ?? ""))
    return refuse(403, "ForbiddenException");
  if (request.method !== "POST" || id === undefined) return refuse(404, "NotFoundException");
  if (body.length > frameLimit) return refuse(413, "PayloadTooLargeException");
  const connection = connections.get(id);
  if (!connection) return refuse(410, "GoneException");
  arriving(options, "out", body, () => connection.socket.send(body));
  response.writeHead(200).end();
  return true;
}
