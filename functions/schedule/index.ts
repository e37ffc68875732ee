/** The scheduler, woken: it looks at everything that waits, whatever the messages say. */
import { messageOf } from "#base";
import { handBack } from "#reconcile/sqs";
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
    return failuresOf(await handBack(taken, scheduleQueue(), log));
  } finally {
    await demand.settled();
  }
});
