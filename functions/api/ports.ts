import type { WatchPlaces } from "#apiserver";
import { askSts, type Sts } from "#auth/aws-iam";
import type { RingStore } from "#auth/service-account";
import {
  clock,
  DynamoRelays,
  DynamoWatchPlaces,
  dynamo,
  log,
  objectsTable,
  once,
  type Relays,
  random,
  signingRingIn,
} from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Leases for watches. */
export const places = once(
  (): WatchPlaces =>
    new DynamoWatchPlaces({
      dynamo: dynamo(),
      table: objectsTable(),
      limit: Number(requiredVariable("SKIFF_WATCHES")),
      clock,
      random,
      log,
    }),
);

/** Requests that are relayed between clients and agents. */
export const relays = once((): Relays => new DynamoRelays({ dynamo: dynamo(), table: objectsTable(), clock, random }));

/** The keys that sign tokens. */
export const signingRing = once((): RingStore => signingRingIn(requiredVariable("SKIFF_SIGNING_SECRET_ARN")));

/** STS, at the address in AWS_ENDPOINT_URL_STS if it is set. */
export const sts: Sts = askSts(process.env["AWS_ENDPOINT_URL_STS"]);
