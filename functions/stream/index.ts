/**
 * The router: changes in the stream become messages for controllers and the scheduler. What comes twice is sent under
 * the same deduplication id; a failure brings the whole batch again. It never decides what is done for a key.
 */
import { lambda } from "../middleware.ts";
import { announce, hints, openPlane, store } from "../ports.ts";
import { imageOf, StreamEvent } from "./records.ts";

export const handler = lambda(StreamEvent, async ({ Records }) => {
  openPlane();
  for (const { dynamodb } of Records) {
    const streamed = await store().streamed(imageOf(dynamodb.NewImage));
    if (!streamed) continue;
    const { type, change, hops: count } = streamed;
    await announce().all(type, [change], count);
    await hints()(type, change);
  }
});
