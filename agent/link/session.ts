import { PassThrough, type Readable, type Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { ExecRequest, Session, StreamPort } from "#agent/runtime";
import { asStatus } from "./requests.ts";

export type Asked = Omit<ExecRequest, "containerId" | "command">;

/** The part of a Status that every protocol can tell. */
export interface SessionStatus {
  status?: string | undefined;
  message?: string | undefined;
}

/** A client's end of an exec or attach, in whatever protocol. */
export interface Channels {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  /** Sizes of the client's terminal. */
  onResize(listener: (size: { width: number; height: number }) => void): void;
  /** Tells how it ended, as a Status, and ends the connection in order. */
  finish(status: SessionStatus): Promise<void>;
  /** The client has gone. */
  onClose(listener: () => void): void;
}

/** An exec with a command, an attach without. */
export function openSession(streams: StreamPort, containerId: string, command: string[] | undefined, asked: Asked) {
  return command ? streams.exec({ containerId, command, ...asked }) : streams.attach({ containerId, ...asked });
}

const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };

/** Upstream's Status for a command that ended badly: the code stands among the causes. */
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
 * A client gets nothing before so many milliseconds have passed since it was let in: kubectl over WebSocket throws away
 * what arrives before it has made its streams. A real runtime takes longer than this to begin anyway.
 */
const clientSettles = 50;

/** Joins a client to a session and sees it to its end. */
export async function runSession(open: () => Promise<Session>, channels: Channels): Promise<void> {
  let session: Session;
  const settled = setTimeout(clientSettles);
  // What the client sends while the session opens waits.
  const early = channels.stdin?.pipe(new PassThrough());
  try {
    session = await open();
  } catch (error) {
    await settled;
    return channels.finish(asStatus(error).status);
  }
  // It may end badly before anybody listens: that is told below.
  session.done.catch(() => {});
  await settled;
  channels.onClose(() => session.close());
  channels.onResize((size) => session.resize(size));
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

/** Everything from one to the other; resolves when it has been handed over or nobody takes it. */
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
