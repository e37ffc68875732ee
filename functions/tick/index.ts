/**
 * The clock: runs what is due, each minute. It waits for nothing, and does no controller's work beyond the checks that
 * are due each minute.
 */
import * as z from "zod";
import { clock, lambda, openPlane, withHopCount } from "#hosts/aws";
import { runPeriodicTasks } from "./periodic-tasks.ts";

/**
 * The minute of the run, which defaults to now; or the alarm's report that changes were lost. Every other event is
 * rejected.
 */
const TickEvent = z.strictObject({ time: z.iso.datetime().optional(), resync: z.boolean().optional() });

export const handler = lambda(TickEvent, ({ time, resync }) =>
  withHopCount(0, () =>
    runPeriodicTasks(openPlane(), {
      now: time === undefined ? clock.now() : Date.parse(time),
      resync: resync ?? false,
    }),
  ),
);
