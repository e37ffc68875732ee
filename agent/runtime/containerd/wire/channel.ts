import * as grpc from "@grpc/grpc-js";
import { RuntimeError, type RuntimeReason } from "#agent/runtime";
import type { Method } from "./codec.ts";

export interface CallOptions {
  /** How long the answer may take. Defaults to two minutes; 0 means no limit. */
  timeoutMilliseconds?: number;
  signal?: AbortSignal | undefined;
  metadata?: Record<string, string>;
  /** The reason of failures whose gRPC code implies none. Defaults to `failed`. */
  otherwise?: RuntimeReason;
}

const reasons: Partial<Record<grpc.status, RuntimeReason>> = {
  [grpc.status.NOT_FOUND]: "notFound",
  [grpc.status.UNAVAILABLE]: "unavailable",
  [grpc.status.DEADLINE_EXCEEDED]: "timeout",
  [grpc.status.CANCELLED]: "timeout",
  [grpc.status.UNIMPLEMENTED]: "unsupported",
};

/** Whether the server answered ALREADY_EXISTS. */
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof RuntimeError && (error.cause as grpc.ServiceError)?.code === grpc.status.ALREADY_EXISTS;

function asRuntimeError(error: grpc.ServiceError, otherwise: RuntimeReason = "failed"): RuntimeError {
  return new RuntimeError(reasons[error.code] ?? otherwise, error.details || error.message, { cause: error });
}

const defaultTimeoutMilliseconds = 120_000;
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * A gRPC connection over a unix socket. It connects lazily and again after a break; each call fails with `unavailable`
 * while no server answers.
 */
export class Channel {
  readonly #client: grpc.Client;

  constructor(socket: string) {
    this.#client = new grpc.Client(`unix://${socket}`, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc.max_send_message_length": maxMessageBytes,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2000,
    });
  }

  /** One request, one answer. Throws RuntimeError, or the signal's reason. */
  call<Response>(method: Method, request: object, options: CallOptions = {}): Promise<Response> {
    return new Promise<Response>((resolve, reject) => {
      options.signal?.throwIfAborted();
      const { metadata, callOptions } = settings(options);
      const onAbort = (): void => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.encode,
        method.decode,
        request,
        metadata,
        callOptions,
        (error, response) => {
          options.signal?.removeEventListener("abort", onAbort);
          if (error) reject(options.signal?.aborted ? options.signal.reason : asRuntimeError(error, options.otherwise));
          else resolve(response as Response);
        },
      );
      options.signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** One request, many answers, until the server ends them or the signal aborts. Throws RuntimeError. */
  async *stream<Response>(method: Method, request: object, options: CallOptions = {}): AsyncGenerator<Response> {
    const { metadata, callOptions } = settings({ timeoutMilliseconds: 0, ...options });
    const { path, encode, decode } = method;
    const call = this.#client.makeServerStreamRequest(path, encode, decode, request, metadata, callOptions);
    const onAbort = (): void => call.cancel();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      yield* call as AsyncIterable<Response>;
    } catch (error) {
      if (!options.signal?.aborted) throw asRuntimeError(error as grpc.ServiceError, options.otherwise);
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
      call.cancel();
    }
  }

  /** Many requests, each sent after the answer to the one before it. Resolves with the last answer. */
  converse<Response>(method: Method, requests: object[], options: CallOptions = {}): Promise<Response> {
    return new Promise<Response>((resolve, reject) => {
      const { metadata, callOptions } = settings(options);
      const { path, encode, decode } = method;
      const call = this.#client.makeBidiStreamRequest(path, encode, decode, metadata, callOptions);
      let next = 0;
      let last: unknown;
      const sendNext = (): void => {
        if (next < requests.length) call.write(requests[next++]!);
        else call.end();
      };
      call.on("data", (response) => {
        last = response;
        sendNext();
      });
      call.on("error", (error) => reject(asRuntimeError(error as grpc.ServiceError, options.otherwise)));
      call.on("end", () => resolve(last as Response));
      sendNext();
    });
  }

  close(): void {
    this.#client.close();
  }
}

function settings(options: CallOptions): { metadata: grpc.Metadata; callOptions: grpc.CallOptions } {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  const timeoutMilliseconds = options.timeoutMilliseconds ?? defaultTimeoutMilliseconds;
  return { metadata, callOptions: timeoutMilliseconds > 0 ? { deadline: Date.now() + timeoutMilliseconds } : {} };
}
