import type { WatchPlaces } from "#apiserver";
import { askSts, type Sts } from "#auth/aws-iam";
import type { RingStore } from "#auth/service-account";
import {
  clock,
  dynamo,
  dynamoRelays,
  log,
  objectsTable,
  once,
  type Relays,
  random,
  signingRingIn,
  watchPlaces,
} from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Places for watches. */
export const places = once(
  (): WatchPlaces =>
    watchPlaces({
      dynamo: dynamo(),
      table: objectsTable(),
      limit: Number(requiredVariable("SKIFF_WATCHES")),
      clock,
      random,
      log,
    }),
);

/** Requests that run between clients and agents. */
export const relays = once((): Relays => dynamoRelays(dynamo(), objectsTable(), clock, random));

/** The keys that sign tokens. */
export const signingRing = once((): RingStore => signingRingIn(requiredVariable("SKIFF_SIGNING_SECRET_ARN")));

/** At the address in AWS_ENDPOINT_URL_STS where it is set. */
export const sts: Sts = askSts(process.env["AWS_ENDPOINT_URL_STS"]);
