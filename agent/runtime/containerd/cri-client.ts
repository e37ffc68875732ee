import { compileServices } from "#agent/grpc";
import type { CallOptions, RuntimeChannel } from "./channel.ts";
import { cri as table } from "./cri.ts";

/** CRI's two services over a channel, on behalf of one agent. */
export interface Cri {
  /** The owner's label value of its sandboxes. */
  owner: string;
  runtime<Response = unknown>(call: string, request: object, options?: CallOptions): Promise<Response>;
  image<Response = unknown>(call: string, request: object, options?: CallOptions): Promise<Response>;
}

export function criClient(channel: RuntimeChannel, owner: string): Cri {
  const method = compileServices(table);
  return {
    owner,
    runtime: (call, request, options) => channel.call(method("RuntimeService", call), request, options),
    image: (call, request, options) => channel.call(method("ImageService", call), request, options),
  };
}
