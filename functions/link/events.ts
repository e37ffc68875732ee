import * as z from "zod";

const identity = z.object({
  userArn: z.string().nullish(),
  accountId: z.string().nullish(),
  user: z.string().nullish(),
});

/** An event of the WebSocket API. */
export const SocketEvent = z.object({
  requestContext: z.object({
    eventType: z.enum(["CONNECT", "DISCONNECT", "MESSAGE"]),
    connectionId: z.string().min(1),
    identity,
  }),
  /** Only of a CONNECT. */
  headers: z.record(z.string(), z.string()).nullish(),
  body: z
    .string()
    .max(32 * 1024)
    .nullish(),
});

/** EC2 tells that an instance changes its state, or that a Spot instance is about to be taken back. */
export const InstanceEvent = z.object({
  source: z.literal("aws.ec2"),
  "detail-type": z.enum(["EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning"]),
  /** When it happened; it may be told much later, and more than once. */
  time: z.iso.datetime().optional(),
  detail: z.object({ "instance-id": z.string(), state: z.string().optional() }),
});

export const LinkEvent = z.union([SocketEvent, InstanceEvent]);

const watch = z.object({
  /** Storage type, such as `core/pods`. */
  type: z.string().max(200),
  namespace: z.string().max(63).optional(),
  /** Selectable fields that must have these values. */
  fields: z.record(z.string().max(100), z.string().max(253)).optional(),
});

const relay = z.object({
  action: z.literal("relay"),
  /** The client's connection, said by an agent; a client says none. */
  relay: z.string().min(1).max(128).optional(),
  /** The client has not heard the agent yet. */
  open: z.literal(true).optional(),
  frame: z.unknown(),
});

/** What the connected say: an agent that it lives, or what it wants to hear of; both ends of a relay a frame. */
export const SaidMessage = z.discriminatedUnion("action", [
  z.object({ action: z.literal("heartbeat") }),
  z.object({ action: z.literal("watch"), watches: z.array(watch).max(50) }),
  relay,
]);

export type SaidMessage = z.infer<typeof SaidMessage>;
export type RelayMessage = z.infer<typeof relay>;
