import * as grpc from "@grpc/grpc-js";
import { RuntimeError, type RuntimeReason } from "#agent/runtime";
import type { Method } from "./codec.ts";

export interface CallOptions {
  /** How long the answer may take; absent: two minutes. 0 waits for ever. */
  timeoutMilliseconds?: number;
  signal?: AbortSignal;
  metadata?: Record<string, string>;
  /** What failures are called where their code alone does not say. */
  otherwise?: RuntimeReason;
}

/** A gRPC connection over a unix socket. */
export interface Channel {
  call<Response>(method: Method, request: object, options?: CallOptions): Promise<Response>;
  /** One request, many answers, until the server ends it or the signal aborts. */
  stream<Response>(method: Method, request: object, options?: CallOptions): AsyncIterable<Response>;
  /** Many requests, each after the answer to the one before it. Answers the last answer. */
  converse<Response>(method: Method, requests: object[], options?: CallOptions): Promise<Response>;
  close(): void;
}

const reasons: Partial<Record<grpc.status, RuntimeReason>> = {
  [grpc.status.NOT_FOUND]: "notFound",
  [grpc.status.UNAVAILABLE]: "unavailable",
  [grpc.status.DEADLINE_EXCEEDED]: "timeout",
  [grpc.status.CANCELLED]: "timeout",
  [grpc.status.UNIMPLEMENTED]: "unsupported",
};

/** Whether an error says that the thing is there already. */
export const isAlreadyThere = (error: unknown): boolean =>
  error instanceof RuntimeError && (error.cause as grpc.ServiceError)?.code === grpc.status.ALREADY_EXISTS;

function asRuntimeError(error: grpc.ServiceError, otherwise: RuntimeReason = "failed"): RuntimeError {
  return new RuntimeError(reasons[error.code] ?? otherwise, error.details || error.message, { cause: error });
}

const defaultTimeout = 120_000;
const maxMessageBytes = 64 * 1024 * 1024;

/** Connects lazily and again after a break; each call fails with `unavailable` while nobody answers. */
export function openChannel(socket: string): Channel {
  const client = new grpc.Client(`unix://${socket}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
  });
  const settings = (options: CallOptions): [grpc.Metadata, grpc.CallOptions] => {
    const metadata = new grpc.Metadata();
    for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
    const timeout = options.timeoutMilliseconds ?? defaultTimeout;
    return [metadata, timeout > 0 ? { deadline: Date.now() + timeout } : {}];
  };
  return {
    call: <Response>(method: Method, request: object, options: CallOptions = {}) =>
      new Promise<Response>((resolve, reject) => {
        options.signal?.throwIfAborted();
        const [metadata, callOptions] = settings(options);
        const onAbort = (): void => call.cancel();
        const call = client.makeUnaryRequest(
          method.path,
          method.encode,
          method.decode,
          request,
          metadata,
          callOptions,
          (error, response) => {
            options.signal?.removeEventListener("abort", onAbort);
            if (error)
              reject(options.signal?.aborted ? options.signal.reason : asRuntimeError(error, options.otherwise));
            else resolve(response as Response);
          },
        );
        options.signal?.addEventListener("abort", onAbort, { once: true });
      }),

    stream: async function* <Response>(method: Method, request: object, options: CallOptions = {}) {
      const [metadata, callOptions] = settings({ timeoutMilliseconds: 0, ...options });
      const call = client.makeServerStreamRequest(
        method.path,
        method.encode,
        method.decode,
        request,
        metadata,
        callOptions,
      );
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
    },

    converse: <Response>(method: Method, requests: object[], options: CallOptions = {}) =>
      new Promise<Response>((resolve, reject) => {
        const [metadata, callOptions] = settings(options);
        const call = client.makeBidiStreamRequest(method.path, method.encode, method.decode, metadata, callOptions);
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
      }),

    close: () => client.close(),
  };
}
