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
  /** The CA of its certificate, in PEM, if the machine does not trust it. */
  ca?: string | undefined;
  clock: Clock;
}

const handshakeMilliseconds = 15_000;

/**
 * Connects with a ticket: written bytes go to the node's agent, as the ticket's request. Throws ApiError 503 when no
 * connection is possible. The stream is destroyed when either end disconnects.
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
  // Every other message reports a lost frame, which is sent again.
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
