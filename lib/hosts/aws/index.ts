/**
 * A control plane in Lambda: handlers and their events, the rows of the objects table that are no objects (connections,
 * relays, places for watches, the scheduler's fence), messages to connected agents and clients, signing keys, and the
 * plane itself.
 */
export { type Connection, type Connections, concerns, dynamoConnections } from "./connections.ts";
export { takeFence } from "./fence.ts";
export { agentHints, type Hints } from "./hints.ts";
export { lazily, once } from "./lazy.ts";
export { log } from "./log.ts";
export { lambda, type StreamedAnswer, streaming } from "./middleware.ts";
export {
  announce,
  clock,
  connections,
  dynamo,
  fargateQueue,
  objectsTable,
  openPlane,
  random,
  reconcileQueue,
  scheduleQueue,
  sqs,
  store,
  withHopCount,
} from "./plane.ts";
export { type Push, pushBy, type Speaker, speakerTo } from "./push.ts";
export { failuresOf, QueueEvent, takenOf } from "./queue-event.ts";
export { dynamoRelays, type Relays } from "./relays.ts";
export { type Issuer, issuerBucket, signingRingIn, tendKeys } from "./signing.ts";
export { watchPlaces } from "./watch-places.ts";
