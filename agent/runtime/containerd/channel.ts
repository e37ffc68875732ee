import * as grpc from "@grpc/grpc-js";
import { type CallOptions as AnyCallOptions, Channel } from "#agent/grpc";
import { RuntimeError, type RuntimeReason } from "#agent/runtime";

export interface CallOptions extends AnyCallOptions {
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

/** A connection whose calls throw RuntimeError. */
export class RuntimeChannel extends Channel<CallOptions> {
  constructor(socket: string) {
    super(
      socket,
      (error, { otherwise = "failed" }) =>
        new RuntimeError(reasons[error.code] ?? otherwise, error.details || error.message, { cause: error }),
    );
  }
}
