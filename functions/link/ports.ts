import {
  clock,
  connectionsApi,
  DynamoRelays,
  dynamo,
  log,
  objectsTable,
  once,
  type Push,
  pushBy,
  type Relays,
  random,
} from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Sends messages to connected agents and clients. */
export const push = once((): Push => pushBy(connectionsApi(requiredVariable("SKIFF_LINK_URL")), log));

/** Requests that are relayed between clients and agents. */
export const relays = once((): Relays => new DynamoRelays({ dynamo: dynamo(), table: objectsTable(), clock, random }));
