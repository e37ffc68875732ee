import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { RuntimeError, type RuntimeReason } from "#agent/runtime";

export interface EngineCall {
  query?: Record<string, string | number | boolean | undefined> | undefined;
  /** Sent as JSON, or as it is when it is bytes. */
  body?: object | Uint8Array | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  /** The reason of failures whose status implies none. Defaults to `failed`. */
  otherwise?: RuntimeReason | undefined;
  /** Milliseconds until the answer begins; 0: no limit. Defaults to two minutes. */
  timeout?: number | undefined;
}

interface VersionReport {
  Version: string;
  ApiVersion: string;
  MinAPIVersion?: string;
  Components?: { Name: string }[];
}

/** What the driver was written for, as numbers: 1.41 is the API of Docker 20.10 and of Podman 4. */
const versions = { newest: [1, 48], oldest: [1, 40] } as const;
const defaultTimeout = 120_000;

/** The Docker Engine API over its unix socket. Connects at the first call, and again after a failure. */
export class Engine {
  readonly #socket: string;
  #version: Promise<EngineVersion> | undefined;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** The engine and the API version that both sides know. Throws `unsupported` when there is none. */
  version(): Promise<EngineVersion> {
    this.#version ??= this.#negotiate().catch((error: unknown) => {
      this.#version = undefined;
      throw error;
    });
    return this.#version;
  }

  /** A call whose answer is JSON; undefined when it is empty. Throws RuntimeError. */
  async json<T>(method: string, path: string, call: EngineCall = {}): Promise<T> {
    const body = await text(await this.stream(method, path, call)).catch((error: unknown) => {
      throw unavailable(error);
    });
    return (body.trim() === "" ? undefined : JSON.parse(body)) as T;
  }

  /** A call whose answer is read as it arrives. Throws RuntimeError for an answer that is an error. */
  async stream(method: string, path: string, call: EngineCall = {}): Promise<IncomingMessage> {
    const response = await this.#send(method, `/${(await this.version()).path}${path}`, call);
    return accept(response, call.otherwise);
  }

  /** A call whose connection becomes a byte stream in both directions. */
  async hijack(path: string, call: EngineCall = {}): Promise<Duplex> {
    const prefix = (await this.version()).path;
    return new Promise((resolve, reject) => {
      const { body, outgoing } = this.#open("POST", `/${prefix}${path}`, {
        ...call,
        headers: { Connection: "Upgrade", Upgrade: "tcp" },
      });
      outgoing.on("upgrade", (_response, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      outgoing.on("response", (response) => {
        accept(response, call.otherwise).then((unexpected) => {
          unexpected.destroy();
          reject(new RuntimeError("failed", "the engine did not open a stream"));
        }, reject);
      });
      outgoing.on("error", (error) => reject(unavailable(error)));
      outgoing.end(body);
    });
  }

  async #negotiate(): Promise<EngineVersion> {
    const response = await accept(await this.#send("GET", "/version", { timeout: 20_000 }), undefined);
    const report = JSON.parse(await text(response)) as VersionReport;
    const newest = parse(report.ApiVersion);
    const oldest = parse(report.MinAPIVersion ?? "1.0");
    if (isOlder(newest, versions.oldest) || isOlder(versions.newest, oldest)) {
      const range = `${oldest.join(".")} to ${newest.join(".")}`;
      throw new RuntimeError(
        "unsupported",
        `the engine has the API ${range}; ${versions.oldest.join(".")} to ${versions.newest.join(".")} are supported`,
      );
    }
    const chosen = isOlder(newest, versions.newest) ? newest : versions.newest;
    const isPodman = (report.Components ?? []).some(({ Name }) => Name.startsWith("Podman"));
    return { name: isPodman ? "podman" : "docker", version: report.Version, path: `v${chosen.join(".")}` };
  }

  #send(method: string, path: string, call: EngineCall): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { body, outgoing } = this.#open(method, path, call);
      const { timeout = defaultTimeout } = call;
      const late = () => {
        outgoing.destroy();
        reject(new RuntimeError("timeout", `the engine did not answer ${method} ${path.split("?")[0]}`));
      };
      const timer = timeout === 0 ? undefined : setTimeout(late, timeout);
      outgoing.on("response", (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      outgoing.on("error", (error) => {
        clearTimeout(timer);
        reject(call.signal?.aborted ? new RuntimeError("timeout", "the call was cancelled") : unavailable(error));
      });
      outgoing.end(body);
    });
  }

  #open(method: string, path: string, { query = {}, body, headers, signal }: EngineCall) {
    const words = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(
      Object.fromEntries(words.map(([name, value]) => [name, String(value)])),
    ).toString();
    const isJson = body !== undefined && !(body instanceof Uint8Array);
    const options: RequestOptions = {
      socketPath: this.#socket,
      method,
      path: search === "" ? path : `${path}?${search}`,
      agent: false,
      headers: {
        Host: "docker",
        ...(body === undefined ? {} : { "Content-Type": isJson ? "application/json" : "application/x-tar" }),
        ...headers,
      },
      ...(signal ? { signal } : {}),
    };
    return { body: isJson ? JSON.stringify(body) : (body as Uint8Array | undefined), outgoing: httpRequest(options) };
  }
}

export interface EngineVersion {
  /** Which engine answers: their behaviour differs in places. */
  name: "docker" | "podman";
  version: string;
  /** The first part of each path, such as `v1.41`. */
  path: string;
}

type Numbers = readonly [number, number];

const parse = (version: string): Numbers => {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return [major, minor];
};

const isOlder = (one: Numbers, other: Numbers): boolean =>
  one[0] < other[0] || (one[0] === other[0] && one[1] < other[1]);

const unavailable = (error: unknown): RuntimeError =>
  new RuntimeError("unavailable", `the engine does not answer: ${error instanceof Error ? error.message : error}`, {
    cause: error,
  });

/** An answer that is no error; a change that was made already (304) is none. Throws RuntimeError otherwise. */
async function accept(response: IncomingMessage, otherwise: RuntimeReason = "failed"): Promise<IncomingMessage> {
  const status = response.statusCode ?? 0;
  if (status < 400) return response;
  const body = await text(response).catch(() => "");
  throw new EngineError(status, messageIn(body) || `status ${status}`, otherwise);
}

/** An error that the engine answered. */
export class EngineError extends RuntimeError {
  readonly status: number;
  constructor(status: number, message: string, otherwise: RuntimeReason) {
    super(status === 404 ? "notFound" : otherwise, message);
    this.status = status;
  }
}

function messageIn(body: string): string {
  try {
    const { message, cause } = JSON.parse(body) as { message?: string; cause?: string };
    return message ?? cause ?? "";
  } catch {
    return body.trim();
  }
}
