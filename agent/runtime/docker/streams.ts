import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import {
  type AttachRequest,
  type CommandResult,
  type ExecRequest,
  ignoreMissing,
  type LogOptions,
  RuntimeError,
  type SandboxStats,
  type Session,
  type StreamPort,
} from "#agent/runtime";
import { readLogFile, renderLogs } from "#agent/runtime/logs";
import { type Engine, EngineError } from "./engine.ts";
import { forwardInto } from "./forward.ts";
import { type Details, marks } from "./items.ts";
import type { LogFiles } from "./log-files.ts";
import { openSession } from "./sessions.ts";
import type { DockerStats } from "./stats.ts";

interface ExecDetails {
  Running: boolean;
  ExitCode: number | null;
  Pid: number;
}

const pollMilliseconds = 20;

/** Streams by connections that the engine hands over; logs from the files that the driver writes. */
export class DockerStreams implements StreamPort {
  readonly #engine: Engine;
  readonly #logs: LogFiles;
  readonly #stats: DockerStats;

  constructor(engine: Engine, logs: LogFiles, stats: DockerStats) {
    this.#engine = engine;
    this.#logs = logs;
    this.#stats = stats;
  }

  async *logs(containerId: string, options: LogOptions): AsyncIterable<Uint8Array> {
    const path = (await this.#inspect(containerId)).Config.Labels[marks.logPath] ?? "";
    if (path === "") throw new RuntimeError("unsupported", `container ${containerId} has no log file`);
    const { follow = false, tailLines, signal, ...render } = options;
    if (!follow) await this.#logs.caughtUp(containerId);
    // A tail of one stream has to read the lines of the other, so it cannot begin in the file's middle.
    const tailOfStream = options.stream && tailLines !== undefined;
    const entries = readLogFile({
      path,
      follow,
      tailLines: options.stream ? undefined : tailLines,
      ended: () => this.#logs.isComplete(containerId),
      signal,
    });
    yield* tailOfStream ? renderLogs(firstWhole(entries), { ...render, tailLines }) : renderLogs(entries, render);
  }

  async exec({ containerId, command, ...streams }: ExecRequest): Promise<Session> {
    return (await this.#exec(containerId, command, streams)).session;
  }

  async attach({ containerId, ...streams }: AttachRequest): Promise<Session> {
    const { stdin, stdout, stderr, tty } = streams;
    const connection = await this.#engine.hijack(`/containers/${containerId}/attach`, {
      query: { stream: true, stdin, stdout, stderr: stderr && !tty },
    });
    const resize = (size: Size) => this.#resize(`/containers/${containerId}/resize`, size);
    return openSession({ connection, streams, resize, exitCode: async () => 0 });
  }

  async run(containerId: string, command: string[], timeoutSeconds: number): Promise<CommandResult> {
    const streams = { stdin: false, stdout: true, stderr: true, tty: false };
    const { id, session } = await this.#exec(containerId, command, streams);
    const result = Promise.all([buffer(session.stdout!), buffer(session.stderr!), session.done]);
    result.catch(() => {});
    const over = new AbortController();
    const late =
      timeoutSeconds > 0
        ? setTimeout(timeoutSeconds * 1000, "late" as const, { signal: over.signal }).catch(() => "late" as const)
        : new Promise<never>(() => {});
    try {
      const first = await Promise.race([result, late]);
      if (first !== "late") return { stdout: first[0], stderr: first[1], exitCode: first[2].exitCode };
      await this.#kill(id, containerId);
      session.close();
      throw new RuntimeError("timeout", `command ${JSON.stringify(command)} timed out after ${timeoutSeconds} s`);
    } finally {
      over.abort();
    }
  }

  async forward(sandboxId: string, port: number): Promise<Duplex> {
    const { State } = await this.#inspect(sandboxId);
    if (!State.Running) throw new RuntimeError("notFound", `sandbox ${sandboxId} is not running`);
    return forwardInto(State.Pid, port);
  }

  stats(filter?: { uid?: string }): Promise<SandboxStats[]> {
    return this.#stats.read(filter);
  }

  async #exec(containerId: string, command: string[], streams: SessionStreams) {
    const { stdin, stdout, stderr, tty } = streams;
    const body = {
      Cmd: command,
      Tty: tty,
      AttachStdin: stdin,
      AttachStdout: stdout,
      AttachStderr: stderr && !tty,
    };
    const { Id: id } = await this.#engine.json<{ Id: string }>("POST", `/containers/${containerId}/exec`, { body });
    const connection = await this.#engine
      .hijack(`/exec/${id}/start`, { body: { Detach: false, Tty: tty } })
      .catch((error: unknown) => {
        // A missing program is a 404 of Docker.
        if (error instanceof EngineError) throw new RuntimeError("failed", error.message, { cause: error });
        throw error;
      });
    const resize = (size: Size) => this.#resize(`/exec/${id}/resize`, size);
    return { id, session: openSession({ connection, streams, resize, exitCode: () => this.#exitCodeOf(id) }) };
  }

  async #exitCodeOf(id: string): Promise<number> {
    for (;;) {
      // The engine notices the end of the process after the end of its output.
      const { Running, ExitCode } = await this.#engine.json<ExecDetails>("GET", `/exec/${id}/json`);
      if (!Running && ExitCode !== null) return ExitCode;
      await setTimeout(pollMilliseconds);
    }
  }

  /** Kills the process of an exec, which the API cannot. Its number may be used again after its end. */
  async #kill(id: string, containerId: string): Promise<void> {
    const details = await ignoreMissing(this.#engine.json<ExecDetails>("GET", `/exec/${id}/json`));
    if (!details?.Running || details.Pid <= 1) return;
    const cgroup = await readFile(`/proc/${details.Pid}/cgroup`, "utf8").catch(() => "");
    if (!cgroup.includes(containerId)) return;
    try {
      process.kill(details.Pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }

  #resize(path: string, { width, height }: Size): void {
    this.#engine.json("POST", path, { query: { w: width, h: height } }).catch(() => {});
  }

  #inspect(id: string): Promise<Details> {
    return this.#engine.json<Details>("GET", `/containers/${id}/json`);
  }
}

interface Size {
  width: number;
  height: number;
}

type SessionStreams = Omit<AttachRequest, "containerId">;

/** All entries as one batch, so that a tail over them counts the lines of one stream. */
async function* firstWhole<T>(batches: AsyncIterable<T[]>): AsyncGenerator<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  yield all;
}
