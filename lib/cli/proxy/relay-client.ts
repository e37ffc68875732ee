import { once } from "node:events";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { Signer } from "#aws/request-signer";
import { type Clock, serviceUnavailable } from "#base";
import { relayStream } from "#relay";

export interface DialOptions {
  /** `wss://…`. */
  link: string;
  sign: Signer;
  /** The authority of its certificate, in PEM, where the machine does not trust it. */
  ca?: string;
  clock: Clock;
}

const handshakeMilliseconds = 15_000;

/**
 * Connects with a ticket: what is written goes to the node's agent, as the request for which the ticket was given.
 * Throws ApiError 503 where no connection can be had. The stream is destroyed when either end goes.
 */
export async function dialRelay({ link, sign, ca, clock }: DialOptions, ticket: string): Promise<Duplex> {
  const headers = await sign({ method: "GET", url: new URL(link), body: "" });
  const socket = new WebSocket(link, {
    headers: { ...headers, "x-skiff-ticket": ticket },
    perMessageDeflate: false,
    handshakeTimeout: handshakeMilliseconds,
    ...(ca === undefined ? {} : { ca }),
  });
  try {
    await once(socket, "open");
  } catch (error) {
    throw serviceUnavailable(`the cluster took no connection: ${error instanceof Error ? error.message : error}`);
  }
  const { stream, take } = relayStream({
    clock,
    opens: true,
    send(frame, isOpening) {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(JSON.stringify({ action: "relay", ...(isOpening ? { open: true } : {}), frame }));
    },
    over: () => socket.close(1000),
  });
  // Whatever else is said tells that a frame was not taken: it will be sent again.
  socket.on("message", (data) => take(frameIn(String(data))));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => stream.destroy(new Error("the cluster has closed the connection")));
  return stream;
}

function frameIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { frame?: unknown } | null)?.frame;
  } catch {
    return undefined;
  }
}
