import { type Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { RuntimeError, type Session } from "#agent/runtime";
import { frameSplitter } from "./frames.ts";

export interface SessionParts {
  connection: Duplex;
  streams: { stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean };
  resize(size: { width: number; height: number }): void;
  /** The exit code once the connection has ended. */
  exitCode(): Promise<number>;
}

/** A session over a connection that carries all its streams. A reader that is slow holds the connection up. */
export function openSession({ connection, streams, resize, exitCode }: SessionParts): Session {
  const stdout = streams.stdout ? new PassThrough() : undefined;
  const stderr = streams.stderr && !streams.tty ? new PassThrough() : undefined;
  const passed = streams.tty ? passAll(connection, stdout) : passFrames(connection, { stdout, stderr });
  const done = passed
    .finally(() => {
      stdout?.end();
      stderr?.end();
    })
    .then(async () => ({ exitCode: await exitCode() }))
    .finally(() => connection.destroy());
  done.catch((error: Error) => {
    stdout?.destroy(error);
    stderr?.destroy(error);
  });
  return {
    stdin: streams.stdin ? stdinOf(connection) : undefined,
    stdout,
    stderr,
    resize,
    done,
    close: () => connection.destroy(),
  };
}

function stdinOf(connection: Duplex): Writable {
  // Its end is the end of one direction alone.
  connection.on("error", () => {});
  return connection;
}

type Outputs = { stdout: PassThrough | undefined; stderr: PassThrough | undefined };

async function write(output: PassThrough | undefined, bytes: Buffer): Promise<void> {
  if (!output || output.destroyed || output.write(bytes)) return;
  await new Promise<void>((resolve) => {
    for (const event of ["drain", "close"]) output.once(event, () => resolve());
  });
}

async function passFrames(connection: Readable, outputs: Outputs): Promise<void> {
  const split = frameSplitter();
  for await (const chunk of bytesOf(connection)) {
    for (const { stream, bytes } of split(chunk)) await write(outputs[stream], bytes);
  }
}

async function passAll(connection: Readable, output: PassThrough | undefined): Promise<void> {
  for await (const chunk of bytesOf(connection)) await write(output, chunk);
}

async function* bytesOf(connection: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of connection.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
  } catch (error) {
    throw new RuntimeError("unavailable", "the connection to the container was lost", { cause: error });
  }
}
