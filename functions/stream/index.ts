/**
 * The router: changes in the stream become messages for controllers and the scheduler. A repeated record is sent with
 * the same deduplication id; a failure repeats the whole batch. It does not decide what is done for a key.
 */

import { announce, lambda, openPlane, store, withHopCount } from "#hosts/aws";
import { hints } from "./ports.ts";
import { imageOf, StreamEvent } from "./records.ts";

export const handler = lambda(StreamEvent, ({ Records }) => withHopCount(0, () => tell(Records)));

async function tell(records: StreamEvent["Records"]): Promise<void> {
  openPlane();
  const streamed = await Promise.all(records.map(({ dynamodb }) => store().streamed(imageOf(dynamodb.NewImage))));
  const happened = streamed.flatMap((each) => each ?? []);
  await announce().all(happened);
  for (const { type, change } of happened) await hints()(type, change);
}
