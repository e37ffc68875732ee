/** The scheduler, started by a message: it schedules every pending pod, whatever the messages contain. */
import { messageOf } from "#base";
import { failuresOf, lambda, log, openPlane, QueueEvent, scheduleQueue, takenOf, withHopCount } from "#hosts/aws";
import { handBack } from "#reconcile/sqs";
import { fence } from "./ports.ts";

export const handler = lambda(QueueEvent, async (event) => {
  const taken = takenOf(event);
  const demand = openPlane().onDemand();
  try {
    const permitted = await fence();
    await withHopCount(1, () => demand.schedule(permitted));
    return failuresOf([]);
  } catch (error) {
    log.warn("pods wait for another try", { error: messageOf(error) });
    return failuresOf(await handBack(taken, scheduleQueue(), log));
  } finally {
    await demand.settled();
  }
});
