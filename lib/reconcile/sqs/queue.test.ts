import type { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { handClock, turn } from "#test/make";
import { type Sent, sqsQueue } from "./index.ts";

type Entry = { Id: string; MessageBody: string };
type Failure = { Id: string; Message: string };

/** A queue over a service that `answer` defines; `taken` are the bodies of the accepted messages. */
function queueWith(answer: (entries: readonly Entry[]) => Promise<Failure[]>) {
  const clock = handClock();
  const taken: string[] = [];
  const state = { underway: 0, most: 0 };
  const send = async ({ input }: SendMessageBatchCommand) => {
    state.most = Math.max(state.most, ++state.underway);
    try {
      const Failed = await answer(input.Entries as Entry[]);
      const lost = new Set(Failed.map(({ Id }) => Id));
      for (const { Id, MessageBody } of input.Entries as Entry[]) if (!lost.has(Id)) taken.push(MessageBody);
      return { Failed };
    } finally {
      state.underway--;
    }
  };
  return { queue: sqsQueue({ send } as never, "https://queue", clock), clock, taken, state };
}

const messages = (count: number): Sent[] =>
  Array.from({ length: count }, (_, at) => ({ body: `b${at}`, group: `g${at}`, deduplication: `d${at}` }));

test("sends thousands of messages in batches of ten, a few requests at once, each message once", async () => {
  const { queue, taken, state } = queueWith(async () => {
    await turn();
    return [];
  });
  await queue.send(messages(95));
  expect(taken.sort()).toEqual(
    messages(95)
      .map(({ body }) => body)
      .sort(),
  );
  expect(state.most).toBe(4);
  await queue.send([]);
  expect(taken).toHaveLength(95);
});

test("sends the messages of a request again that the service did not accept", async () => {
  let refusals = 2;
  const { queue, clock, taken } = queueWith(async (entries) =>
    refusals-- > 0 ? entries.slice(0, 1).map(({ Id }) => ({ Id, Message: "busy" })) : [],
  );
  const sent = queue.send(messages(3));
  for (let tries = 0; tries < 5; tries++) {
    await turn();
    clock.move(1000);
  }
  await sent;
  expect(taken.sort()).toEqual(["b0", "b1", "b2"]);
});

test("rejects after a failed request when no other is in flight", async () => {
  const { queue, taken, state } = queueWith(async ([first]) => {
    if (first?.MessageBody === "b0") throw new Error("no such queue");
    await turn();
    return [];
  });
  await expect(queue.send(messages(30))).rejects.toThrow("no such queue");
  expect([state.underway, taken.length]).toEqual([0, 20]);
});
