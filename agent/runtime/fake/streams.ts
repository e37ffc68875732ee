import { Duplex, PassThrough, Readable, Writable } from "node:stream";
import { type ContainerStats, RuntimeError, type Sandbox, type Session, type StreamPort } from "#agent/runtime";
import { renderLogs } from "#agent/runtime/logs";
import { abortable, type Clock } from "#base";
import { behaviour, type FakeContainer } from "./container.ts";
import { bytePipe } from "./pipe.ts";
import { Killed } from "./shell/process.ts";

interface World {
  clock: Clock;
  container(id: string): FakeContainer;
  /** Whether something listens on the sandbox's port. */
  listens(sandboxId: string, port: number): boolean;
  list(filter?: { uid?: string }): Promise<Sandbox[]>;
}

const mustRun = (container: FakeContainer): FakeContainer => {
  if (container.running) return container;
  throw new RuntimeError("failed", `container ${container.id} is not running (it is ${container.state})`);
};

/** The streams of fake containers, over what runs inside this process. */
export function fakeStreams(world: World): StreamPort {
  return {
    logs: (containerId, options) => {
      const container = world.container(containerId);
      return renderLogs(container.entries(options.follow === true, options.signal), options);
    },

    exec: async (request) => {
      const container = mustRun(world.container(request.containerId));
      const stop = new AbortController();
      const { session, stdin, write, end } = makeSession(request, () => stop.abort());
      const done = container
        .exec(request.command, stop.signal, {
          stdin,
          stdout: (bytes) => write("stdout", bytes),
          stderr: (bytes) => write(request.tty ? "stdout" : "stderr", bytes),
        })
        .catch((error) => {
          if (error instanceof Killed) return container.exitCode ?? 137;
          throw error;
        })
        .finally(end);
      return { ...session, done: done.then((exitCode) => ({ exitCode })) };
    },

    run: async (containerId, command, timeoutSeconds) => {
      const container = mustRun(world.container(containerId));
      const stop = new AbortController();
      const stdout: Uint8Array[] = [];
      const stderr: Uint8Array[] = [];
      const limit = new RuntimeError("timeout", `command timed out: ${timeoutSeconds}s exceeded`);
      const timer = timeoutSeconds > 0 ? world.clock.timer(timeoutSeconds * 1000, () => stop.abort(limit)) : undefined;
      const none = bytePipe();
      none.end();
      try {
        const running = container
          .exec(command, stop.signal, {
            stdin: none,
            stdout: (bytes) => stdout.push(bytes),
            stderr: (bytes) => stderr.push(bytes),
          })
          .catch((error) => {
            if (error instanceof Killed) return container.exitCode ?? 137;
            throw error;
          });
        const exitCode = await abortable(running, stop.signal);
        return { exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
      } finally {
        timer?.cancel();
      }
    },

    attach: async (request) => {
      const container = mustRun(world.container(request.containerId));
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
    },

    forward: async (sandboxId, port) => {
      if (!world.listens(sandboxId, port)) {
        throw new RuntimeError("failed", `connection to port ${port} in sandbox ${sandboxId}: connection refused`);
      }
      const through = new PassThrough();
      return Duplex.from({ readable: through, writable: through });
    },

    stats: async (filter) => {
      const now = world.clock.now();
      return (await world.list(filter))
        .filter((sandbox) => sandbox.state === "ready")
        .map((sandbox) => {
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
        });
    },
  };
}

interface Asked {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** The caller's ends of a session, and the inner ends that go with them. */
function makeSession(asked: Asked, close: () => void) {
  const input = bytePipe();
  if (!asked.stdin) input.end();
  const stdout = asked.stdout ? outlet() : undefined;
  const stderr = asked.stderr && !asked.tty ? outlet() : undefined;
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
    ...(asked.stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
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
