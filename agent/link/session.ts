import { PassThrough, type Readable, type Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { ExecRequest, Session, StreamPort } from "#agent/runtime";
import { asStatus } from "./requests.ts";

export type RequestedStreams = Omit<ExecRequest, "containerId" | "command">;

/** The part of a Status that every protocol can carry. */
export interface SessionStatus {
  status?: string | undefined;
  message?: string | undefined;
}

/** A client's end of an exec or attach, in any protocol. */
export interface Channels {
  stdin?: Readable | undefined;
  stdout?: Writable | undefined;
  stderr?: Writable | undefined;
  /** Calls `listener` with each size of the client's terminal. */
  onResize(listener: (size: { width: number; height: number }) => void): void;
  /** Sends the result as a Status and ends the connection in order. */
  finish(status: SessionStatus): Promise<void>;
  /** Calls `listener` when the client has disconnected. */
  onClose(listener: () => void): void;
}

/** An exec when there is a command, otherwise an attach. */
export function openSession(
  port: StreamPort,
  { containerId, command }: { containerId: string; command: string[] | undefined },
  streams: RequestedStreams,
) {
  return command ? port.exec({ containerId, command, ...streams }) : port.attach({ containerId, ...streams });
}

const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };

/** Upstream's Status for a failed command, with the exit code among the causes. */
const failure = (exitCode: number) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: `command terminated with non-zero exit code: exit status ${exitCode}`,
  reason: "NonZeroExitCode",
  details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
});

/**
 * A client receives no data in this time after its upgrade: kubectl over WebSocket drops data that arrives before it
 * has created its streams. Real runtimes take longer than this to start a session.
 */
const clientSetupMilliseconds = 50;

/** Connects a client to a session until it ends. */
export async function runSession(open: () => Promise<Session>, channels: Channels): Promise<void> {
  let session: Session;
  const settled = setTimeout(clientSetupMilliseconds);
  // Buffers the client's data while the session is opened.
  const early = channels.stdin?.pipe(new PassThrough());
  try {
    session = await open();
  } catch (error) {
    await settled;
    return channels.finish(asStatus(error).status);
  }
  // It may reject before it is awaited below.
  session.done.catch(() => {});
  // Before any data, so that a command finds the terminal with its size.
  channels.onResize((size) => session.resize(size));
  await settled;
  channels.onClose(() => session.close());
  early?.on("error", () => {});
  if (session.stdin) {
    session.stdin.on("error", () => {});
    early?.pipe(session.stdin);
  }
  const outputs = [copy(session.stdout, channels.stdout), copy(session.stderr, channels.stderr)];
  try {
    const { exitCode } = await session.done;
    await Promise.all(outputs);
    await channels.finish(exitCode === 0 ? success : failure(exitCode));
  } catch (error) {
    await channels.finish(asStatus(error).status);
  }
}

/** Copies one stream to the other; resolves when everything has been passed on, or when the receiver is closed. */
function copy(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (!from) return Promise.resolve();
  return new Promise((resolve) => {
    from.on("error", () => resolve());
    if (!to) {
      from.on("end", resolve).resume();
      return;
    }
    to.on("error", () => resolve());
    to.on("close", () => resolve());
    to.on("finish", () => resolve());
    from.pipe(to);
  });
}
