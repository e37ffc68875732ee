import type { Usage } from "./prices.ts";

/*
 * What the functions used when their bundles were run over a real DynamoDB engine and counted (test/aws/cost.test.ts
 * measures it again and fails when it has moved). Units are those of the price list. Lambda's duration is a model: the
 * processor's time at the share of a core that the memory buys, and six milliseconds for each call of a service.
 */

/** One tick of the clock with three nodes, the average of an hour. */
export const perTick: Usage = {};
/** One heartbeat of one agent. */
export const perHeartbeat: Usage = {};
/** A read of one object by somebody who is known. */
export const perRead: Usage = {};
/** A write of a client, with everything that controllers and the scheduler do because of it. */
export const perWrite: Usage = {};

export const measured = { perTick, perHeartbeat, perRead, perWrite };
