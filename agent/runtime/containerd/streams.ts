import { Duplex, type Readable } from "node:stream";
import { text } from "node:stream/consumers";
import {
  type AttachRequest,
  type CommandResult,
  type ContainerStats,
  type ExecRequest,
  ignoreMissing,
  type LogOptions,
  RuntimeError,
  type SandboxStats,
  type Session,
  type StreamPort,
} from "#agent/runtime";
import { readLogFile, renderLogs } from "#agent/runtime/logs";
import { connectSpdy } from "./connect-spdy.ts";
import { marks } from "./convert.ts";
import type { Cri } from "./cri-client.ts";
import { type ContainerStatus, milliseconds } from "./items.ts";

/** Logs from the files that the runtime writes; the rest over its streaming server. */
export class CriStreams implements StreamPort {
  readonly #cri: Cri;

  constructor(cri: Cri) {
    this.#cri = cri;
  }

  async *logs(containerId: string, options: LogOptions): AsyncIterable<Uint8Array> {
    const { log_path: path } = await this.#statusOf(containerId);
    if (path === "") throw new RuntimeError("unsupported", `container ${containerId} has no log file`);
    const { follow = false, tailLines, signal, ...render } = options;
    // A tail of one stream has to read the lines of the other, so it cannot begin in the file's middle.
    const tailOfStream = options.stream && tailLines !== undefined;
    const entries = readLogFile({
      path,
      follow,
      tailLines: options.stream ? undefined : tailLines,
      ended: () => this.#hasEnded(containerId),
      signal,
    });
    yield* tailOfStream ? renderLogs(firstWhole(entries), { ...render, tailLines }) : renderLogs(entries, render);
  }

  async exec({ containerId, command, ...streams }: ExecRequest): Promise<Session> {
    return this.#open("Exec", { container_id: containerId, cmd: command }, streams);
  }

  async attach({ containerId, ...streams }: AttachRequest): Promise<Session> {
    return this.#open("Attach", { container_id: containerId }, streams);
  }

  async run(containerId: string, command: string[], timeoutSeconds: number): Promise<CommandResult> {
    const answer = await this.#cri.runtime<{ stdout: Buffer; stderr: Buffer; exit_code: number }>(
      "ExecSync",
      { container_id: containerId, cmd: command, timeout: timeoutSeconds },
      // The runtime enforces the timeout; this longer one is for a runtime that hangs.
      { timeoutMilliseconds: timeoutSeconds > 0 ? timeoutSeconds * 1000 + 60_000 : 0 },
    );
    return { exitCode: answer.exit_code, stdout: answer.stdout, stderr: answer.stderr };
  }

  async forward(sandboxId: string, port: number): Promise<Duplex> {
    const { url } = await this.#cri.runtime<{ url: string }>("PortForward", {
      pod_sandbox_id: sandboxId,
      port: [port],
    });
    const connection = await connectSpdy(url, "portforward.k8s.io");
    const headers = { port: String(port), requestid: "0" };
    const errors = connection.open({ streamtype: "error", ...headers });
    const data = connection.open({ streamtype: "data", ...headers });
    errors.end();
    return failing(data, text(errors), () => connection.close());
  }

  async stats(filter?: { uid?: string }): Promise<SandboxStats[]> {
    const ofPod = filter?.uid === undefined ? {} : { [marks.podUid]: filter.uid };
    const { stats } = await this.#cri.runtime<{ stats: PodStatsItem[] }>("ListPodSandboxStats", {
      filter: { label_selector: { [marks.owner]: this.#cri.owner, ...ofPod } },
    });
    return stats.map(podStats);
  }

  async #open(call: "Exec" | "Attach", target: object, streams: SessionStreams): Promise<Session> {
    const stderr = streams.stderr && !streams.tty;
    const { url } = await this.#cri.runtime<{ url: string }>(call, { ...target, ...streams, stderr });
    return openSession(url, streams);
  }

  async #statusOf(id: string): Promise<ContainerStatus> {
    return (await this.#cri.runtime<{ status: ContainerStatus }>("ContainerStatus", { container_id: id })).status;
  }

  async #hasEnded(id: string): Promise<boolean> {
    const status = await ignoreMissing(this.#statusOf(id));
    return status === undefined || status.state === "CONTAINER_EXITED";
  }
}

/** All entries as one batch, so that a tail over them counts the lines of one stream. */
async function* firstWhole<T>(batches: AsyncIterable<T[]>): AsyncGenerator<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  yield all;
}

/** A duplex that ends with the error that the other side sent, if any. */
function failing(data: Duplex, error: Promise<string>, close: () => void): Duplex {
  const readable = (async function* () {
    yield* data as AsyncIterable<Uint8Array>;
    const message = await error;
    if (message !== "") throw new RuntimeError("failed", message);
  })();
  const duplex = Duplex.from({ readable, writable: data });
  duplex.on("close", close);
  return duplex;
}

type SessionStreams = Omit<AttachRequest, "containerId">;

async function openSession(url: string, requested: SessionStreams): Promise<Session> {
  const connection = await connectSpdy(url, "v4.channel.k8s.io");
  // The runtime waits for exactly the streams of the request.
  const errors = connection.open({ streamtype: "error" });
  errors.end();
  const stdin = requested.stdin ? connection.open({ streamtype: "stdin" }) : undefined;
  const stdout = requested.stdout ? connection.open({ streamtype: "stdout" }) : undefined;
  const stderr = requested.stderr && !requested.tty ? connection.open({ streamtype: "stderr" }) : undefined;
  const resize = requested.tty ? connection.open({ streamtype: "resize" }) : undefined;
  for (const output of [stdout, stderr]) output?.end();
  // No data arrives on these streams, but their end has to be read.
  for (const input of [stdin, resize]) input?.resume().on("error", () => {});
  const outputs = [stdout, stderr].filter((stream) => stream !== undefined).map(finished);
  const done = statusOf(errors)
    .then(async (status) => {
      await Promise.all(outputs);
      return { exitCode: exitCodeOf(status) };
    })
    .finally(() => connection.close());
  done.catch(() => {});
  return {
    stdin,
    stdout,
    stderr,
    resize: ({ width, height }) => void resize?.write(JSON.stringify({ Width: width, Height: height })),
    done,
    close: () => connection.close(),
  };
}

/** The text of the error stream. A connection that breaks after the status has arrived does not lose it. */
async function statusOf(errors: Readable): Promise<string> {
  let status = "";
  try {
    for await (const chunk of errors as AsyncIterable<Buffer>) status += chunk.toString();
  } catch (error) {
    if (status === "") throw error;
  }
  return status;
}

const finished = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    for (const event of ["end", "error", "close"]) stream.once(event, () => resolve());
  });

/** The error stream ends with a Status; with the reason NonZeroExitCode, the exit code is among its causes. */
function exitCodeOf(status: string): number {
  if (status === "") throw new RuntimeError("unavailable", "the connection to the container was lost");
  let parsed: { status?: string; message?: string; details?: { causes?: { reason?: string; message?: string }[] } };
  try {
    parsed = JSON.parse(status);
  } catch {
    throw new RuntimeError("failed", status);
  }
  if (parsed.status === "Success") return 0;
  const code = parsed.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (code === undefined) throw new RuntimeError("failed", parsed.message ?? status);
  return Number(code);
}

interface Value {
  value: number;
}
interface Usage {
  timestamp: number;
  usage_core_nano_seconds: Value | null;
  working_set_bytes: Value | null;
  usage_bytes: Value | null;
  rss_bytes: Value | null;
}
interface PodStatsItem {
  attributes: { id: string; metadata: { name: string; namespace: string; uid: string } };
  linux: {
    cpu: Usage | null;
    memory: Usage | null;
    network: { default_interface: Record<string, Value | null> & { name: string } } | null;
    containers: {
      attributes: { id: string; metadata: { name: string } };
      cpu: Usage | null;
      memory: Usage | null;
      writable_layer: { used_bytes: Value | null; inodes_used: Value | null } | null;
    }[];
  } | null;
}

function podStats({ attributes, linux }: PodStatsItem): SandboxStats {
  const { name, namespace, uid } = attributes.metadata;
  const network = linux?.network?.default_interface;
  const count = (key: string): number => network?.[key]?.value ?? 0;
  return {
    sandboxId: attributes.id,
    name,
    namespace,
    uid,
    at: milliseconds(linux?.cpu?.timestamp ?? linux?.memory?.timestamp ?? 0),
    ...known("cpuNanoseconds", linux?.cpu?.usage_core_nano_seconds),
    ...known("memoryWorkingSetBytes", linux?.memory?.working_set_bytes),
    ...(network
      ? {
          network: {
            interface: network.name,
            receivedBytes: count("rx_bytes"),
            sentBytes: count("tx_bytes"),
            receiveErrors: count("rx_errors"),
            sendErrors: count("tx_errors"),
          },
        }
      : {}),
    containers: (linux?.containers ?? []).map(
      (item): ContainerStats => ({
        containerId: item.attributes.id,
        name: item.attributes.metadata.name,
        at: milliseconds(item.cpu?.timestamp ?? 0),
        ...known("cpuNanoseconds", item.cpu?.usage_core_nano_seconds),
        ...known("memoryWorkingSetBytes", item.memory?.working_set_bytes),
        ...known("memoryUsageBytes", item.memory?.usage_bytes),
        ...known("memoryRssBytes", item.memory?.rss_bytes),
        ...known("writableLayerBytes", item.writable_layer?.used_bytes),
        ...known("writableLayerInodes", item.writable_layer?.inodes_used),
      }),
    ),
  };
}

const known = <Key extends string>(key: Key, value: Value | null | undefined): { [key in Key]?: number } =>
  value ? ({ [key]: value.value } as { [key in Key]?: number }) : {};
