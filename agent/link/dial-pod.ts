import type { ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { type DialRequest, isGlobalUnicast } from "#api/meta";
import { ApiError, badRequest, messageOf } from "#base";
import { type LinkedPods, sandboxesOf } from "./pods.ts";
import { asStatus } from "./requests.ts";

/** The time for a connection, as Go's default dialer has. */
const dialMilliseconds = 30_000;

/**
 * Connects a stream of the link to a port of a pod of this node. Answers 200 once it is connected, and otherwise with
 * the reason as text: 400 for an address that is not the pod's own, 404 for an unknown pod, 502 when the pod does not
 * accept the connection.
 */
export async function dialPod(pods: LinkedPods, stream: ServerHttp2Stream, request: DialRequest): Promise<void> {
  try {
    const connection = await connectionTo(pods, request);
    if (stream.destroyed) return void connection.destroy();
    stream.respond({ ":status": 200 });
    joinStreams(stream, connection);
  } catch (error) {
    if (stream.destroyed) return;
    stream.respond({ ":status": asStatus(error).code, "content-type": "text/plain" });
    stream.end(messageOf(error));
  }
}

async function connectionTo(pods: LinkedPods, { pod: place, address, port }: DialRequest): Promise<Duplex> {
  const { pod, sandboxes } = await sandboxesOf(pods, place);
  const sandbox = sandboxes.findLast(({ state }) => state === "ready");
  if (!sandbox) throw new ApiError(502, "", `pod ${place.name} is not running`);
  // The runtime's own addresses: a status can be written by others. A pod on the node's network has the node's.
  const own = pod.spec?.hostNetwork ? (pods.ips ?? []) : sandbox.ips;
  if (!own.includes(address) || !isGlobalUnicast(address)) throw badRequest("address not allowed");
  const { streams } = pods.runtime;
  return streams.dial ? streams.dial(sandbox.id, port) : connectTcp(address, port);
}

function connectTcp(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.setTimeout(dialMilliseconds, () => socket.destroy(new ApiError(502, "", "i/o timeout")));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      reject(new ApiError(502, "", reasons[error.code ?? ""] ?? error.message)),
    );
    socket.once("connect", () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

/** Go's texts of frequent errors. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
};

/** Copies both ways with back pressure; each direction ends by itself, and a failure ends both. */
function joinStreams(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on("error", () => to.destroy());
    from.once("close", () => {
      if (!to.writableEnded) to.destroy();
    });
    from.pipe(to);
  }
}
