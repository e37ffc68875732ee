import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dynamoDueIndex } from "#reconcile/sqs";
import { builtOnce } from "../built-once.ts";
import { doorsOf, queueDoorsOf, queueOf, ruleArn } from "./doors.ts";
import { account, batchOf, endures, furnish, type Ground, mutantsOf, openGround, refuses, unharmed } from "./ground.ts";

/* `functions/tick` against unauthorized callers. The clock calls it, and the alarm for lost changes. */

let ground: Ground;
beforeAll(async () => {
  ground = await openGround("tick");
  await furnish(ground);
});
afterAll(() => ground?.stop());

const minute = 60_000;
/** A minute without periodic work other than due keys, this many hours from now. */
const at = (hours: number): string => {
  const count = Math.floor(Date.now() / 3_600_000 + hours) * 60 + 2;
  return new Date(count * minute).toISOString();
};
const tick = (event: unknown) => ground.target.call(event);
const due = (name: string, moment: string) =>
  dynamoDueIndex(ground.rows, ground.objects).put(
    { controller: "deployment", key: { namespace: "default", name } },
    Date.parse(moment),
  );
const sent = () =>
  Promise.all(
    ["RECONCILE", "SCHEDULE", "FARGATE"].map((name) => ground.stage.queue(`SKIFF_${name}_QUEUE_URL`).count()),
  );

describe("no identity", () => {
  test("only the clock's role calls it, and EventBridge for one alarm", () => {
    const deadLetters = ["RECONCILE", "SCHEDULE", "FARGATE"].map((name) =>
      queueOf(`SKIFF_${name}_DEAD_LETTER_QUEUE_URL`),
    );
    const { rules, schedules } = builtOnce().wiring;
    expect(doorsOf("tick")).toEqual({
      callers: [{ principal: "events.amazonaws.com", source: ruleArn("Resync") }],
      roles: [{ role: "Minute", of: [{ Service: "scheduler.amazonaws.com" }] }],
      mapped: [],
      readable: deadLetters,
    });
    // Only SQS itself moves a message to the dead letters.
    for (const queue of deadLetters) expect(queueDoorsOf(queue)).toEqual({ senders: [], allowed: [] });
    expect(schedules.map(({ function: name, input }) => [name, input])).toEqual([
      ["tick", '{"time":"<aws.scheduler.scheduled-time>"}'],
    ]);
    // Events of other alarms, and of other accounts, are not routed here; the event's input is fixed.
    const own = rules.filter(({ function: name }) => name === "tick");
    expect(own.map(({ pattern, input }) => [pattern["resources"], input])).toEqual([
      [[`arn:aws:cloudwatch:eu-west-1:${account}:alarm:skiff-test-changes-lost`], '{"resync":true}'],
    ]);
  });

  test("refuses an event without a clock's time, and keeps what is due", async () => {
    await due("unmarked", at(-1));
    const before = await sent();
    const times = ["<aws.scheduler.scheduled-time>", "now", "", 7, "2030-01-01", "2030-01-01T00:00:00+25:00"];
    await refuses(
      ground.target,
      times.map((time) => ({ time })),
    );
    await refuses(ground.target, [{ resync: "true" }, { resync: 1 }, { time: at(-1), resync: null }]);
    expect(await sent()).toEqual(before);
  });
});

test("refuses events of other sources, with any time", async () => {
  await tick({ time: at(-1) });
  await due("foreign", at(-1));
  const before = await sent();
  const alarm = {
    ...{ source: "aws.cloudwatch", account: "210987654321", "detail-type": "CloudWatch Alarm State Change" },
    ...{ resources: ["arn:aws:cloudwatch:eu-west-1:210987654321:alarm:x"], detail: { state: { value: "ALARM" } } },
  };
  const batch = batchOf("arn:aws:sqs:eu-west-1:210987654321:x", { body: '{"resync":true}' });
  await refuses(ground.target, [
    alarm,
    batch,
    { ...alarm, time: at(-1) },
    { ...batch, time: at(-1) },
    { ...alarm, resync: true },
  ]);
  expect(await sent()).toEqual(before);
});

test("refuses oversized events", async () => {
  const junk = "x".repeat(5.9e6);
  const events = [{ time: at(-1), junk }, { time: junk }, { time: `${at(-1)}${junk}` }, { [junk]: true }];
  await unharmed(ground.target, () => refuses(ground.target, events));
});

test("refuses malformed events, and does the next minute's work", async () => {
  await refuses(ground.target, [null, 7, "x", [], true]);
  await endures(ground.target, fc.oneof(mutantsOf({ time: at(-1) }), fc.jsonValue()), 60);
  await tick({ time: at(-1) });
  const before = await sent();
  await due("next", at(-1));
  await tick({ time: at(-1) });
  expect((await sent())[0]).toBe(before[0]! + 1);
});

describe("repeated and late events", () => {
  test("a repeated or late minute sends nothing again", async () => {
    const before = await sent();
    const [soon, later] = [at(1), at(2)];
    await due("first", soon);
    await due("second", later);
    await tick({ time: soon });
    const first = await sent();
    expect(first[0]).toBe(before[0]! + 1);
    for (const _time of ["again", "and again"]) await tick({ time: soon });
    expect(await sent()).toEqual(first);
    await tick({ time: later });
    const second = await sent();
    expect(second[0]).toBe(first[0]! + 1);
    for (const time of [soon, at(-24), later]) await tick({ time });
    expect(await sent()).toEqual(second);
  });

  test("a row that was sent but not deleted is sent as the same message", async () => {
    const moment = at(3);
    await due("kept", moment);
    await tick({ time: moment });
    const before = await sent();
    await due("kept", moment);
    await tick({ time: moment });
    expect(await sent()).toEqual(before);
  });

  test("two resyncs in a minute are one", async () => {
    const time = at(-1);
    const before = await sent();
    await tick({ time, resync: true });
    const first = await sent();
    expect(first[0]).toBeGreaterThan(before[0]!);
    await tick({ time, resync: true });
    expect(await sent()).toEqual(first);
  });
});
