import { Duplex, PassThrough, Readable, Writable } from "node:stream";
import {
  type AttachRequest,
  type CommandResult,
  type ContainerStats,
  type ExecRequest,
  type LogOptions,
  RuntimeError,
  type Sandbox,
  type SandboxStats,
  type Session,
  type StreamPort,
} from "#agent/runtime";
import { renderLogs } from "#agent/runtime/logs";
import { abortable, type Clock } from "#base";
import { behaviour, type FakeContainer } from "./container.ts";
import { BytePipe } from "./pipe.ts";
import type { FakePods } from "./pods.ts";
import { Killed } from "./shell/process.ts";

/** The streams of fake containers, over the programs that run inside this process. */
export class FakeStreams implements StreamPort {
  readonly #pods: FakePods;
  readonly #clock: Clock;

  constructor(pods: FakePods, clock: Clock) {
    this.#pods = pods;
    this.#clock = clock;
  }

  logs(containerId: string, options: LogOptions): AsyncIterable<Uint8Array> {
    const container = this.#pods.find(containerId);
    return renderLogs(container.entries(options.follow === true, options.signal), options);
  }

  async exec(request: ExecRequest): Promise<Session> {
    const container = this.#running(request.containerId);
    const stop = new AbortController();
    const { session, stdin, write, end } = makeSession(request, () => stop.abort());
    const exitCode = container
      .exec(request.command, stop.signal, {
        stdin,
        stdout: (bytes) => write("stdout", bytes),
        stderr: (bytes) => write(request.tty ? "stdout" : "stderr", bytes),
      })
      .catch((error) => exitCodeOfKilled(container, error))
      .finally(end);
    return { ...session, done: exitCode.then((code) => ({ exitCode: code })) };
  }

  async run(containerId: string, command: string[], timeoutSeconds: number): Promise<CommandResult> {
    const container = this.#running(containerId);
    const stop = new AbortController();
    const stdout: Uint8Array[] = [];
    const stderr: Uint8Array[] = [];
    const limit = new RuntimeError("timeout", `command timed out: ${timeoutSeconds}s exceeded`);
    const timer = timeoutSeconds > 0 ? this.#clock.timer(timeoutSeconds * 1000, () => stop.abort(limit)) : undefined;
    const noInput = new BytePipe();
    noInput.end();
    try {
      const running = container
        .exec(command, stop.signal, {
          stdin: noInput,
          stdout: (bytes) => stdout.push(bytes),
          stderr: (bytes) => stderr.push(bytes),
        })
        .catch((error) => exitCodeOfKilled(container, error));
      const exitCode = await abortable(running, stop.signal);
      return { exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
    } finally {
      timer?.cancel();
    }
  }

  async attach(request: AttachRequest): Promise<Session> {
    const container = this.#running(request.containerId);
    const { session, stdin, write, end } = makeSession(request, () => release());
    const attached = container.attach(request, write);
    const release = (): void => {
      attached.release();
      end();
    };
    const { stdin: inlet } = attached;
    if (request.stdin && inlet) {
      void (async () => {
        for await (const bytes of stdin) inlet.write(bytes);
        if (container.spec.stdinOnce) inlet.end();
      })();
    }
    const done = container.ended().then(() => {
      release();
      return { exitCode: container.exitCode ?? 0 };
    });
    return { ...session, done };
  }

  async forward(sandboxId: string, port: number): Promise<Duplex> {
    if (!this.#pods.listens(sandboxId, port)) {
      throw new RuntimeError("failed", `connection to port ${port} in sandbox ${sandboxId}: connection refused`);
    }
    const through = new PassThrough();
    return Duplex.from({ readable: through, writable: through });
  }

  readonly dial = (sandboxId: string, port: number): Promise<Duplex> => this.forward(sandboxId, port);

  async stats(filter?: { uid?: string }): Promise<SandboxStats[]> {
    const now = this.#clock.now();
    const sandboxes = await this.#pods.list(filter);
    return sandboxes.filter(({ state }) => state === "ready").map((sandbox) => statsOf(sandbox, now));
  }

  #running(containerId: string): FakeContainer {
    const container = this.#pods.find(containerId);
    if (container.running) return container;
    throw new RuntimeError("failed", `container ${container.id} is not running (it is ${container.state})`);
  }
}

/** The exit code of a program whose run rejected with `error`. Throws every error but Killed. */
function exitCodeOfKilled(container: FakeContainer, error: unknown): number {
  if (error instanceof Killed) return container.exitCode ?? 137;
  throw error;
}

function statsOf(sandbox: Sandbox, now: number): SandboxStats {
  const cores = Number(sandbox.annotations[behaviour.cpuMillicores] ?? 1);
  const memory = Number(sandbox.annotations[behaviour.memoryBytes] ?? 1_000_000);
  const running = sandbox.containers.filter((container) => container.state === "running");
  const containers = running.map(
    (container): ContainerStats => ({
      containerId: container.id,
      name: container.name,
      at: now,
      cpuNanoseconds: Math.round(((now - (container.startedAt ?? now)) * cores * 1000) / running.length),
      memoryWorkingSetBytes: Math.round(memory / running.length),
      memoryUsageBytes: Math.round(memory / running.length),
    }),
  );
  const { id: sandboxId, name, namespace, uid } = sandbox;
  return { sandboxId, name, namespace, uid, at: now, containers };
}

/** The caller's ends of a session, and the container's ends of the same streams. */
function makeSession(request: AttachRequest, close: () => void) {
  const input = new BytePipe();
  if (!request.stdin) input.end();
  const stdout = request.stdout ? outlet() : undefined;
  const stderr = request.stderr && !request.tty ? outlet() : undefined;
  const stdin = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      input.write(chunk);
      done();
    },
    final: (done) => {
      input.end();
      done();
    },
  });
  const session: Omit<Session, "done"> = {
    stdin: request.stdin ? stdin : undefined,
    stdout,
    stderr,
    resize: () => {},
    close,
  };
  const write = (name: "stdout" | "stderr", bytes: Uint8Array): void => {
    (name === "stdout" ? stdout : stderr)?.push(bytes);
  };
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const stream of [stdout, stderr]) if (stream && !stream.destroyed) stream.push(null);
    input.end();
  };
  return { session, stdin: input, write, end };
}

const outlet = (): Readable => new Readable({ read: () => {} });
