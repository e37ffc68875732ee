import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Log, messageOf } from "#base";
import type { Endpoint } from "../endpoints.ts";
import type { EndpointChoice } from "./endpoints.ts";

/** A listener that passes what it receives on to a service port's endpoints. */
export interface Listener {
  readonly port: number;
  /** The endpoints have changed: UDP clients of others get a new one. */
  refresh(): void;
  close(): void;
}

export interface ListenerOptions {
  address: string;
  choice: EndpointChoice;
  log: Log;
}

/** Milliseconds in which an endpoint has to accept a connection before the next one is tried. */
const connectMilliseconds = 2000;
/** Milliseconds without a packet after which a UDP client is forgotten. */
const idleMilliseconds = 30_000;
/** UDP clients of one service port; a packet of a further one is dropped. */
const mostClients = 4096;

export async function listenTcp({ address, choice, log }: ListenerOptions): Promise<Listener> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    open.add(client);
    client.once("close", () => open.delete(client));
    client.on("error", () => client.destroy());
    forward(client, choice).catch((error: unknown) => {
      log.debug("no endpoint of a service accepts a connection", { error: messageOf(error) });
      client.resetAndDestroy();
    });
  });
  const port = await listen(server, address);
  server.on("error", (error) => log.warn("a listener of a service has failed", { error: messageOf(error) }));
  return {
    port,
    refresh: () => {},
    close: () => {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}

async function listen(server: Server, address: string): Promise<number> {
  server.listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  return typeof bound === "object" && bound ? bound.port : 0;
}

/** Joins a connection with one to the first endpoint that accepts it. Rejects if none does. */
async function forward(client: Socket, choice: EndpointChoice): Promise<void> {
  const name = client.remoteAddress ?? "";
  let reason: unknown = new Error("there are no endpoints");
  for (const endpoint of choice.pick(name)) {
    const server = connect({ host: endpoint.ip, port: endpoint.port, allowHalfOpen: true });
    try {
      await once(server, "connect", { signal: AbortSignal.timeout(connectMilliseconds) });
    } catch (error) {
      server.on("error", () => {});
      server.destroy();
      reason = error;
      continue;
    }
    choice.note(name, endpoint);
    server.on("error", () => client.destroy());
    server.once("close", () => client.destroy());
    client.once("close", () => server.destroy());
    client.pipe(server);
    server.pipe(client);
    return;
  }
  throw reason;
}

/** A UDP client: the socket by which its packets go to its endpoint. */
interface Session {
  endpoint: Endpoint;
  socket: UdpSocket;
  timer: NodeJS.Timeout;
}

export async function listenUdp({ address, choice, log }: ListenerOptions): Promise<Listener> {
  const sessions = new Map<string, Session>();
  const socket = createSocket("udp4");
  const end = (key: string): void => {
    const session = sessions.get(key);
    sessions.delete(key);
    clearTimeout(session?.timer);
    session?.socket.close();
  };
  const open = (key: string, client: { address: string; port: number }): Session | undefined => {
    const [endpoint] = choice.pick(client.address);
    if (!endpoint || sessions.size >= mostClients) return undefined;
    const outgoing = createSocket("udp4");
    outgoing.on("message", (packet) => socket.send(packet, client.port, client.address, () => {}));
    outgoing.on("error", () => end(key));
    const session = { endpoint, socket: outgoing, timer: setTimeout(() => end(key), idleMilliseconds) };
    sessions.set(key, session);
    return session;
  };
  socket.on("message", (packet, client) => {
    const key = `${client.address} ${client.port}`;
    const session = sessions.get(key) ?? open(key, client);
    if (!session) return;
    session.timer.refresh();
    session.socket.send(packet, session.endpoint.port, session.endpoint.ip, () => {});
  });
  socket.bind(0, address);
  await once(socket, "listening");
  socket.on("error", (error) => log.warn("a listener of a service has failed", { error: messageOf(error) }));
  return {
    port: socket.address().port,
    refresh: () => {
      for (const [key, { endpoint }] of sessions) if (!choice.has(endpoint)) end(key);
    },
    close: () => {
      socket.close();
      for (const key of [...sessions.keys()]) end(key);
    },
  };
}
