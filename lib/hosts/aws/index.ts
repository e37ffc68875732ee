/**
 * A control plane in Lambda: handlers and their events, the drivers of rows that are not objects (`rows.ts`:
 * connections, relays, leases of watches, the scheduler's fence), messages to connected agents and clients, signing
 * keys, and the plane itself.
 */
export { type Connection, type Connections, concerns, DynamoConnections } from "./connections.ts";
export { type ConnectionsApi, connectionsApi, type Push, pushBy } from "./connections-api.ts";
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
export { failuresOf, QueueEvent, takenOf } from "./queue-event.ts";
export { DynamoRelays, type Relays } from "./relays.ts";
export { type Issuer, issuerBucket, signingRingIn, tendKeys } from "./signing.ts";
export { DynamoWatchPlaces } from "./watch-places.ts";
