import {
  clock,
  dynamo,
  dynamoRelays,
  log,
  objectsTable,
  once,
  type Push,
  pushBy,
  type Relays,
  random,
  speakerTo,
} from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Sends messages to connected agents and clients. */
export const push = once((): Push => pushBy(speakerTo(requiredVariable("SKIFF_LINK_URL")), log));

/** Requests that run between clients and agents. */
export const relays = once((): Relays => dynamoRelays(dynamo(), objectsTable(), clock, random));
