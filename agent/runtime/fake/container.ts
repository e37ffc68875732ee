import type { Container, ContainerSpec, ExecRequest } from "#agent/runtime";
import type { LogEntry } from "#agent/runtime/logs";
import { type Clock, sleep } from "#base";
import { BytePipe } from "./pipe.ts";
import { commands } from "./shell/commands.ts";
import { Files } from "./shell/files.ts";
import { Killed } from "./shell/process.ts";
import { execute } from "./shell/run.ts";

/** Annotations of a pod that set the behaviour of its fake containers. */
export const behaviour = {
  /** Containers exit after this many seconds ... */
  runSeconds: "fake.skiff.dev/run-seconds",
  /** ... with this exit code. Defaults to 0. */
  exitCode: "fake.skiff.dev/exit-code",
  /** "true": a stop signal is ignored, so that the grace period passes. */
  ignoreStop: "fake.skiff.dev/ignore-stop",
  /** The values of the pod's statistics. */
  cpuMillicores: "fake.skiff.dev/cpu-millicores",
  memoryBytes: "fake.skiff.dev/memory-bytes",
} as const;

/** The most output that a fake container stores. */
const maxLogBytes = 64 * 1024;
/** Images that run a shell, which exits at once without input. */
const shellImages = new Set(["busybox", "alpine", "debian", "ubuntu"]);

interface ContainerSetting {
  sandboxId: string;
  clock: Clock;
  hostname: string;
  annotations: Record<string, string>;
  /** Called after each change of the container. */
  changed: () => void;
  listen: (port: number) => void;
}

/** One fake container: its state, its output, and its programs. */
export class FakeContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly spec: ContainerSpec;
  readonly #setting: ContainerSetting;
  readonly #createdAt: number;
  readonly #watchers = new Set<(entry: LogEntry | undefined) => void>();
  readonly #execs = new Set<AbortController>();
  readonly #followers = new Set<(name: "stdout" | "stderr", bytes: Uint8Array) => void>();
  #state: Container["state"] = "created";
  #startedAt: number | undefined;
  #finishedAt: number | undefined;
  #exitCode: number | undefined;
  #reason: string | undefined;
  #files: Files | undefined;
  #stdin: BytePipe | undefined;
  #kill: AbortController | undefined;
  #log: LogEntry[] = [];
  #logBytes = 0;

  constructor(id: string, spec: ContainerSpec, setting: ContainerSetting) {
    this.id = id;
    this.sandboxId = setting.sandboxId;
    this.spec = spec;
    this.#setting = setting;
    this.#createdAt = setting.clock.now();
  }

  get running(): boolean {
    return this.#state === "running";
  }

  get state(): Container["state"] {
    return this.#state;
  }

  /** The container as the port lists it. */
  view(): Container {
    const { spec } = this;
    return {
      id: this.id,
      sandboxId: this.sandboxId,
      name: spec.name,
      attempt: spec.attempt,
      state: this.#state,
      createdAt: this.#createdAt,
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#finishedAt === undefined ? {} : { finishedAt: this.#finishedAt }),
      ...(this.#exitCode === undefined ? {} : { exitCode: this.#exitCode }),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      image: spec.image,
      imageId: spec.imageId,
      labels: spec.labels,
      annotations: spec.annotations,
    };
  }

  start(): void {
    if (this.#state !== "created") return;
    this.#state = "running";
    this.#startedAt = this.#setting.clock.now();
    const seconds = this.#setting.annotations[behaviour.runSeconds];
    const args = this.#commandLine();
    if (seconds !== undefined) {
      const code = Number(this.#setting.annotations[behaviour.exitCode] ?? 0);
      const kill = this.#killer();
      const timer = this.#setting.clock.timer(Number(seconds) * 1000, () => this.exit(code));
      kill.signal.addEventListener("abort", () => timer.cancel(), { once: true });
    } else if (args) {
      void this.#runMain(args);
    }
    // A container without a known program only keeps its record: it costs nothing else.
    this.#setting.changed();
  }

  /** The first program; undefined for a container without a known one. */
  #commandLine(): string[] | undefined {
    const image = /([^/:@]+)(?:[:@][^/]*)?$/.exec(this.spec.image)?.[1] ?? "";
    const command = this.spec.command ?? [];
    const args = [...command, ...(this.spec.args ?? [])];
    const name = args[0]?.slice(args[0].lastIndexOf("/") + 1);
    if (name === undefined) return shellImages.has(image) ? ["sh"] : undefined;
    return name === "sh" || name === "bash" || name === "ash" || commands[name] ? args : undefined;
  }

  async #runMain(args: string[]): Promise<void> {
    const stdin = this.#inlet();
    if (!this.spec.stdin) stdin.end();
    const kill = this.#killer();
    try {
      const code = await this.#execute(args, kill.signal, {
        stdin,
        stdout: (bytes) => this.#emit("stdout", bytes),
        stderr: (bytes) => this.#emit("stderr", bytes),
      });
      this.exit(code);
    } catch (error) {
      if (error instanceof Killed) return;
      this.#emit("stderr", Buffer.from(`${(error as Error).message}\n`));
      this.exit(1);
    }
  }

  #killer(): AbortController {
    this.#kill ??= new AbortController();
    return this.#kill;
  }

  #inlet(): BytePipe {
    this.#stdin ??= new BytePipe();
    return this.#stdin;
  }

  #execute(
    args: string[],
    signal: AbortSignal,
    streams: { stdin: AsyncIterable<Uint8Array>; stdout: (b: Uint8Array) => void; stderr: (b: Uint8Array) => void },
  ): Promise<number> {
    const { clock, hostname, listen } = this.#setting;
    const { mounts, env, workingDirectory } = this.spec;
    this.#files ??= new Files(
      mounts.map((mount) => ({ at: mount.containerPath, from: mount.hostPath, readOnly: mount.readOnly })),
    );
    return execute({
      args,
      env: { PATH: "/bin", HOSTNAME: hostname, ...Object.fromEntries(env.map(({ name, value }) => [name, value])) },
      cwd: workingDirectory || "/",
      hostname,
      files: this.#files,
      ...streams,
      signal,
      now: () => clock.now(),
      sleep: (milliseconds) => sleep(clock, milliseconds, signal),
      listen,
    });
  }

  /** Exits now with this code. */
  exit(code: number, reason = code === 0 ? "Completed" : "Error"): void {
    if (this.#state === "exited") return;
    this.#state = "exited";
    this.#startedAt ??= this.#setting.clock.now();
    this.#finishedAt = this.#setting.clock.now();
    this.#exitCode = code;
    this.#reason = reason;
    this.#kill?.abort();
    this.#stdin?.end();
    for (const exec of this.#execs) exec.abort();
    for (const watcher of [...this.#watchers]) watcher(undefined);
    this.#setting.changed();
  }

  /** Resolves once it has exited. */
  async stop(graceSeconds: number): Promise<void> {
    if (this.#state === "exited") return;
    if (graceSeconds > 0 && this.#setting.annotations[behaviour.ignoreStop] === "true") {
      await Promise.race([sleep(this.#setting.clock, graceSeconds * 1000, this.#killer().signal), this.ended()]);
      this.exit(137);
      return;
    }
    this.exit(graceSeconds > 0 ? 143 : 137);
  }

  ended(): Promise<void> {
    if (this.#state === "exited") return Promise.resolve();
    return new Promise((resolve) => {
      const watcher = (entry: LogEntry | undefined) => {
        if (entry) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /**
   * Runs a program in the container and resolves with its exit code. Rejects with Killed when the signal or the
   * container's end ends it.
   */
  async exec(
    command: string[],
    signal: AbortSignal,
    streams: { stdin: AsyncIterable<Uint8Array>; stdout: (b: Uint8Array) => void; stderr: (b: Uint8Array) => void },
  ): Promise<number> {
    const end = new AbortController();
    const onAbort = () => end.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#execs.add(end);
    try {
      return await this.#execute(command, end.signal, streams);
    } finally {
      this.#execs.delete(end);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Connects to its output from now on, and to its input. `release` disconnects. */
  attach(request: Omit<ExecRequest, "command">, write: (name: "stdout" | "stderr", bytes: Uint8Array) => void) {
    const follower = (name: "stdout" | "stderr", bytes: Uint8Array): void => {
      const isRequested = name === "stderr" && !this.spec.tty ? request.stderr : request.stdout;
      if (isRequested) write(this.spec.tty ? "stdout" : name, bytes);
    };
    this.#followers.add(follower);
    return {
      stdin: this.spec.stdin ? this.#inlet() : undefined,
      release: (): void => void this.#followers.delete(follower),
    };
  }

  #emit(stream: "stdout" | "stderr", bytes: Uint8Array): void {
    if (this.#state === "exited" || bytes.length === 0) return;
    for (const follower of this.#followers) follower(stream, bytes);
    const time = `${new Date(this.#setting.clock.now()).toISOString().slice(0, -1)}000000Z`;
    let start = 0;
    while (start < bytes.length) {
      const end = bytes.indexOf(10, start);
      const text = Buffer.from(bytes.subarray(start, end < 0 ? bytes.length : end));
      const entry: LogEntry = { time, stream, text, partial: end < 0 };
      this.#log.push(entry);
      this.#logBytes += text.length + 64;
      for (const watcher of [...this.#watchers]) watcher(entry);
      start = end < 0 ? bytes.length : end + 1;
    }
    while (this.#logBytes > maxLogBytes && this.#log.length > 1) this.#logBytes -= this.#log.shift()!.text.length + 64;
  }

  /** Its output so far, then its further output until it exits or the signal aborts. */
  async *entries(follow: boolean, signal?: AbortSignal): AsyncGenerator<LogEntry[]> {
    let waiting: LogEntry[] = [];
    let over = this.#state === "exited";
    let wake = () => {};
    const watcher = (entry: LogEntry | undefined) => {
      if (entry) waiting.push(entry);
      else over = true;
      wake();
    };
    const onAbort = () => {
      over = true;
      wake();
    };
    if (follow) {
      this.#watchers.add(watcher);
      signal?.addEventListener("abort", onAbort, { once: true });
    }
    try {
      yield [...this.#log];
      while (follow && !signal?.aborted && (waiting.length > 0 || !over)) {
        const batch = waiting;
        waiting = [];
        if (batch.length > 0) yield batch;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#watchers.delete(watcher);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
