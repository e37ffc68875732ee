import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, type Log, messageOf } from "#base";
import { FrameReader, frameOf } from "./frames.ts";
import type { Resolver } from "./resolver.ts";

export interface ServerOptions {
  resolver: Resolver;
  clock: Clock;
  log: Log;
  address: string;
  /** When it is not free, another is used. Defaults to 53. */
  port?: number;
  /** TCP connections at once; further ones are closed. Defaults to 200. */
  connections?: number;
  /** Milliseconds in which a TCP client has to complete its next message, and to accept an answer. Defaults to 10,000. */
  idle?: number;
}

/** Messages that one TCP connection may have in work; further ones are not read. */
const messagesAtOnce = 16;

/** Ports that are tried when the configured one is not free: a port may be free for UDP only. */
const attempts = 20;

/** Answers over UDP and TCP, at one port. */
export class DnsServer {
  readonly #options: Required<ServerOptions>;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor(options: Required<ServerOptions>, udp: UdpSocket, tcp: Server) {
    this.#options = options;
    this.#udp = udp;
    this.#tcp = tcp;
  }

  /** Rejects when no port of the address can be used. */
  static async start(options: ServerOptions): Promise<DnsServer> {
    const filled = { port: 53, connections: 200, idle: 10_000, ...options };
    const { udp, tcp } = await listen(filled);
    const server = new DnsServer(filled, udp, tcp);
    server.#serve();
    return server;
  }

  get address(): string {
    return this.#options.address;
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** Closes all sockets; answers that are not sent yet are lost. */
  async stop(): Promise<void> {
    this.#udp.close();
    for (const socket of this.#connections) socket.destroy();
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }

  #serve(): void {
    const { resolver, log, connections } = this.#options;
    const udp = this.#udp;
    let isOpen = true;
    udp.on("close", () => {
      isOpen = false;
    });
    udp.on("error", (error) => log.warn("the DNS server's UDP socket has failed", { error: messageOf(error) }));
    udp.on("message", (packet, { address, port }) => {
      // The client may be gone: an answer that cannot be sent is lost, as any packet may be.
      const send = (answer: Buffer): void => {
        if (isOpen) udp.send(answer, port, address, () => {});
      };
      const answer = resolver.resolve(packet, "udp");
      if (answer instanceof Promise) void answer.then(send);
      else if (answer) send(answer);
    });
    this.#tcp.maxConnections = connections;
    this.#tcp.on("error", (error) => log.warn("the DNS server's TCP socket has failed", { error: messageOf(error) }));
    this.#tcp.on("connection", (socket) => this.#connect(socket));
  }

  #connect(socket: Socket): void {
    const { clock, idle, resolver } = this.#options;
    this.#connections.add(socket);
    let timer = clock.timer(idle, () => socket.destroy());
    const alive = (): void => {
      timer.cancel();
      timer = clock.timer(idle, () => socket.destroy());
    };
    socket.on("error", () => {});
    socket.on("close", () => {
      timer.cancel();
      this.#connections.delete(socket);
    });
    const frames = new FrameReader();
    let inWork = 0;
    const send = (answer: Buffer): void => {
      // The timer starts again once the client has accepted the answer.
      if (!socket.destroyed) socket.write(frameOf(answer), (error) => error || socket.destroyed || alive());
      if (--inWork < messagesAtOnce) socket.resume();
    };
    socket.on("data", (bytes) => {
      for (const packet of frames.push(bytes)) {
        const answer = resolver.resolve(packet, "tcp");
        if (answer === undefined) continue;
        inWork++;
        if (answer instanceof Promise) void answer.then(send);
        else send(answer);
      }
      // An answer that the client does not accept holds back its further questions.
      if (inWork >= messagesAtOnce || socket.writableNeedDrain) socket.pause();
    });
    socket.on("drain", () => socket.resume());
  }
}

/** IP addresses are not resolved: sends are not delayed by a lookup. */
const noLookup = (
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void => done(null, host, host.includes(":") ? 6 : 4);

async function listen({ address, port }: Required<ServerOptions>): Promise<{ udp: UdpSocket; tcp: Server }> {
  let failure: unknown;
  for (let attempt = 0; attempt <= attempts; attempt++) {
    try {
      return await listenAt(address, attempt === 0 ? port : 0);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function listenAt(address: string, port: number): Promise<{ udp: UdpSocket; tcp: Server }> {
  const udp = createSocket({
    type: address.includes(":") ? "udp6" : "udp4",
    // Bursts of questions wait in the kernel.
    recvBufferSize: 1 << 20,
    lookup: noLookup,
  });
  const tcp = createServer();
  try {
    // Without a lookup the event is emitted within bind.
    const listening = once(udp, "listening");
    udp.bind(port, address);
    await listening;
    tcp.listen(udp.address().port, address);
    await once(tcp, "listening");
    return { udp, tcp };
  } catch (error) {
    udp.close();
    tcp.close();
    throw error;
  }
}
