/** The scheduler, woken: it looks at everything that waits, whatever the messages say. */
import { messageOf } from "#base";
import { backoff } from "#reconcile/sqs";
import { log } from "../log.ts";
import { lambda } from "../middleware.ts";
import { fence, hopping, openPlane, scheduleQueue } from "../ports.ts";
import { failuresOf, QueueEvent, takenOf } from "../queue-event.ts";

export const handler = lambda(QueueEvent, async (event) => {
  const taken = takenOf(event);
  const demand = openPlane().onDemand();
  try {
    const permitted = await fence();
    await hopping(1, () => demand.schedule(permitted));
    return failuresOf([]);
  } catch (error) {
    log.warn("pods wait for another try", { error: messageOf(error) });
    const [first] = taken;
    // Without it the messages come back when the queue's own visibility timeout ends: later, but they come.
    if (first) {
      await scheduleQueue()
        .hide(first.receipt, backoff(first.receives))
        .catch((failure: unknown) => log.warn("a message's visibility could not be changed", { error: failure }));
    }
    return failuresOf(taken.map(({ id }) => id));
  } finally {
    await demand.settled();
  }
});
