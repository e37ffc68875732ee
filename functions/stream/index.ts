/**
 * The router: sends a message to the controllers and the scheduler for each change in the stream. A repeated record is
 * sent with the same deduplication id; a failure repeats the whole batch.
 */

import { announce, lambda, openPlane, store, withHopCount } from "#hosts/aws";
import { hints } from "./ports.ts";
import { imageOf, StreamEvent } from "./records.ts";

export const handler = lambda(StreamEvent, ({ Records }) => withHopCount(0, () => route(Records)));

async function route(records: StreamEvent["Records"]): Promise<void> {
  openPlane();
  const streamed = await Promise.all(records.map(({ dynamodb }) => store().streamed(imageOf(dynamodb.NewImage))));
  const changes = streamed.flatMap((each) => each ?? []);
  await announce().all(changes);
  for (const { type, change } of changes) await hints()(type, change);
}
