/** The clock: what is due is done, each minute. It waits for nothing and does no controller's work but the minute's looks. */
import * as z from "zod";
import { clock, lambda, openPlane, withHopCount } from "#hosts/aws";
import { chores } from "./chores.ts";

/** The minute that it is for, now unless told; or the alarm's word that changes were lost. Nothing else is the clock's. */
const TickEvent = z.strictObject({ time: z.iso.datetime().optional(), resync: z.boolean().optional() });

export const handler = lambda(TickEvent, ({ time, resync }) =>
  withHopCount(0, () =>
    chores(openPlane(), { now: time === undefined ? clock.now() : Date.parse(time), resync: resync ?? false }),
  ),
);
