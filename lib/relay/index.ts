/**
 * A stream of bytes over messages that arrive out of order, twice or not at all: numbered pieces are put in order,
 * acknowledged and sent again, within a window. Sockets and permissions are the callers'.
 */
export { type Frame, frameOf, largestPiece, type WireFrame, wireOf } from "./frame.ts";
export { defaultLimits, Relay, type RelayLimits, type RelayOptions } from "./relay.ts";
export { type RelayStreamOptions, relayStream } from "./stream.ts";
