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

/** EC2 reports a new state of an instance, or the interruption of a Spot instance. */
export const InstanceEvent = z.object({
  source: z.literal("aws.ec2"),
  "detail-type": z.enum(["EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning"]),
  /** When it happened. The event may arrive much later, and more than once. */
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
  /** The client's connection, in an agent's message; absent in a client's. */
  relay: z.string().min(1).max(128).optional(),
  /** The client has not received a frame of the agent yet. */
  open: z.literal(true).optional(),
  frame: z.unknown(),
});

/** The messages on a connection: heartbeats and watches of an agent, and frames from both ends of a relay. */
export const SaidMessage = z.discriminatedUnion("action", [
  z.object({ action: z.literal("heartbeat") }),
  z.object({ action: z.literal("watch"), watches: z.array(watch).max(50) }),
  relay,
]);

export type SaidMessage = z.infer<typeof SaidMessage>;
export type RelayMessage = z.infer<typeof relay>;
