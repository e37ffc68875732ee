import * as grpc from "@grpc/grpc-js";
import type { Method } from "./codec.ts";

export interface CallOptions {
  /** How long the answer may take. Defaults to two minutes; 0 means no limit. */
  timeoutMilliseconds?: number;
  signal?: AbortSignal | undefined;
  metadata?: Record<string, string>;
}

/** A call that the server refused, or did not answer. The message is that of Go's clients, which clients read. */
export class CallError extends Error {
  readonly code: grpc.status;
  constructor(error: grpc.ServiceError) {
    super(`rpc error: code = ${codeName(error.code)} desc = ${error.details || error.message}`, { cause: error });
    this.name = "CallError";
    this.code = error.code;
  }
}

/** A code as Go prints it, without blanks: NotFound. */
export const codeName = (code: grpc.status): string =>
  code === grpc.status.OK
    ? "OK"
    : (grpc.status[code] ?? `Code(${code})`)
        .toLowerCase()
        .replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());

const defaultTimeoutMilliseconds = 120_000;
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * A gRPC connection over a unix socket. It connects lazily and again after a break; each call fails with UNAVAILABLE
 * while no server answers. Calls reject with CallError, or with what `fault` returns.
 */
export class Channel<Options extends CallOptions = CallOptions> {
  readonly #client: grpc.Client;
  readonly #fault: (error: grpc.ServiceError, options: Options) => Error;

  constructor(
    socket: string,
    fault: (error: grpc.ServiceError, options: Options) => Error = (error) => new CallError(error),
  ) {
    this.#fault = fault;
    this.#client = new grpc.Client(`unix://${socket}`, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc.max_send_message_length": maxMessageBytes,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2000,
    });
  }

  /** One request, one answer. Throws the fault, or the signal's reason. */
  call<Response>(method: Method, request: object, options: Options = {} as Options): Promise<Response> {
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
          if (error) reject(options.signal?.aborted ? options.signal.reason : this.#fault(error, options));
          else resolve(response as Response);
        },
      );
      options.signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** One request, many answers, until the server ends them or the signal aborts. Throws the fault. */
  async *stream<Response>(method: Method, request: object, options: Options = {} as Options): AsyncGenerator<Response> {
    const { metadata, callOptions } = settings({ timeoutMilliseconds: 0, ...options });
    const { path, encode, decode } = method;
    const call = this.#client.makeServerStreamRequest(path, encode, decode, request, metadata, callOptions);
    const onAbort = (): void => call.cancel();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      yield* call as AsyncIterable<Response>;
    } catch (error) {
      if (!options.signal?.aborted) throw this.#fault(error as grpc.ServiceError, options);
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
      call.cancel();
    }
  }

  /** Many requests, each sent after the answer to the one before it. Resolves with the last answer. */
  converse<Response>(method: Method, requests: object[], options: Options = {} as Options): Promise<Response> {
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
      call.on("error", (error) => reject(this.#fault(error as grpc.ServiceError, options)));
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
