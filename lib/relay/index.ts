/**
 * A stream of bytes over messages that arrive out of order, twice or not at all: numbered pieces that are put in order,
 * acknowledged and sent again, with a window that bounds what waits. It knows neither sockets nor who may relay what.
 */
export { type Frame, frameOf, largestPiece, type WireFrame, wireOf } from "./frame.ts";
export { defaultLimits, type Relay, type RelayLimits, type RelayOptions, relay } from "./relay.ts";
export { type RelayStreamOptions, relayStream } from "./stream.ts";
