import { request } from "node:https";
import { text } from "node:stream/consumers";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { expect } from "vitest";
import { namespaces, serviceAccounts } from "#api";
import { requestSigner } from "#aws/request-signer";
import { type HttpClient, httpClient } from "#client";
import { deduplicationOf, encodeMessage, groupOf, type Message, type Sent } from "#reconcile/sqs";
import { builtOnce } from "../built-once.ts";
import { ann, type Person, region, tokenFor, whoIs } from "../principals.ts";
import type { LambdaFunction } from "../runtime.ts";
import { openStage, type Stage, type StageOptions } from "../stage.ts";

export const account = "123456789012";

/** A stage for one function: no queue and no stream is polled, so that only explicit calls start a process. */
export interface Ground {
  stage: Stage;
  /** The output of the functions. */
  lines: string[];
  /** The tested function. */
  target: LambdaFunction;
  /** The administrator's. */
  client: HttpClient;
  /** Rows beside the API; the table of objects is `objects`. */
  rows: DynamoDBClient;
  objects: string;
  stop(): Promise<void>;
}

export interface GroundOptions extends Partial<Pick<StageOptions, "fault" | "whoIs">> {
  /** Whether the cluster is born, too. */
  born?: boolean;
}

export async function openGround(name: string, { born = false, ...more }: GroundOptions = {}): Promise<Ground> {
  const built = builtOnce();
  const lines: string[] = [];
  const stage = await openStage({
    built: { ...built, wiring: { ...built.wiring, mappings: [] } },
    whoIs,
    output: (_, line) => lines.push(line),
    most: 1,
    ...more,
  });
  if (born) await stage.deploy();
  const client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  const target = stage.functions.get(name)!;
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const rows = new DynamoDBClient({ endpoint: stage.cloud.endpointFor("test"), region, credentials });
  return {
    ...{ stage, lines, target, client, rows },
    objects: target.deployed.environment["SKIFF_OBJECTS_TABLE"]!,
    async stop() {
      client.close();
      rows.destroy();
      await stage.stop();
    },
  };
}

/** A namespace in which pods can be created, without a bootstrap. */
export async function furnish({ client }: Ground): Promise<void> {
  await client.create(namespaces, { metadata: { name: "default" } });
  await client.create(serviceAccounts, { metadata: { namespace: "default", name: "default" } });
}

export interface Answered {
  status: number;
  body: string;
}
export interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** The signer of the request, which then goes to `/iam`. */
  by?: Person;
}

/** A request to the API from outside. */
export async function ask({ url, ca }: Stage, path: string, asked: Asked = {}): Promise<Answered> {
  const { method = "GET", headers = {}, body = "", by } = asked;
  const to = new URL(`${url}${by ? "/iam" : ""}${path}`);
  const signed = by ? await requestSigner({ region, credentials: by })({ method, url: to, body }) : {};
  return new Promise((done, reject) => {
    const sent = request(to, { method, headers: { ...headers, ...signed }, ca }, (answer) => {
      text(answer).then((read) => done({ status: answer.statusCode ?? 0, body: read }), reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Asserts that each event is refused by a throw, which for asynchronous calls ends among the dead letters. */
export async function refuses(target: LambdaFunction, events: readonly unknown[]): Promise<void> {
  for (const event of events) {
    await expect(target.call(event), `took ${JSON.stringify(event)?.slice(0, 80)}`).rejects.toThrow();
  }
}

/** Values that are no event of any kind. */
export const shapeless = [null, 7, "x", [], true, { Records: 7 }, { Records: [{}] }, { Records: [{ body: 1 }] }];

/** Runs an action, and asserts that the same process serves before and after it. It must have been called once. */
export async function unharmed(target: LambdaFunction, run: () => Promise<unknown>): Promise<void> {
  const before = target.pids;
  expect(before).toHaveLength(1);
  await run();
  expect(target.pids).toEqual(before);
}

type Json = unknown;
const placesIn = (value: Json, path: readonly (string | number)[] = []): (string | number)[][] => [
  [...path],
  ...(typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) => placesIn(inner, [...path, Array.isArray(value) ? +name : name]))
    : []),
];

function replaced(value: Json, [first, ...rest]: readonly (string | number)[], by: Json): Json {
  if (first === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, Json>;
  copy[first] = replaced(copy[first], rest, by);
  return copy;
}

/** Events with one fault each: another value at one place, none, or a very large one. */
export const mutantsOf = (good: Json): fc.Arbitrary<Json> =>
  fc
    .tuple(
      fc.constantFrom(...placesIn(good)),
      fc.oneof(
        { weight: 5, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
        { weight: 1, arbitrary: fc.constant(undefined) },
        {
          weight: 1,
          arbitrary: fc.constantFrom("x".repeat(70_000), "\u0000", "__proto__", -1, 1e308, "2999-01-01T00:00:00Z"),
        },
      ),
    )
    .map(([path, by]) => replaced(good, path, by));

/** Passes events to a function one after the other; it may refuse each, and must go on. */
export async function endures(target: LambdaFunction, events: fc.Arbitrary<Json>, numRuns = 150): Promise<void> {
  const tried = fc.asyncProperty(events, async (event) => {
    const failed = await target.call(event ?? null).then(
      () => "",
      (error: Error) => error.message,
    );
    // The runtime reports what a function throws; a process that has exited reports nothing.
    expect(failed).not.toMatch(/ ended with /);
  });
  await unharmed(target, () => fc.assert(tried, { numRuns }));
}

/** A batch of a queue in Lambda's form. */
export const batchOf = (arn: string, ...messages: readonly (Sent | { body: string; group?: string })[]) => ({
  Records: messages.map(({ body, group = "g" }, place) => ({
    messageId: `m${place}`,
    receiptHandle: `r${place}`,
    body,
    attributes: { ApproximateReceiveCount: "1", MessageGroupId: group },
    messageAttributes: {},
    eventSource: "aws:sqs",
    eventSourceARN: arn,
  })),
});

/** A key of a controller as it is sent. */
export const keyFor = (controller: string, key: Message["key"], cause = "test@1", hops = 0): Sent => {
  const message: Message = { controller, key, cause, hops };
  return { body: encodeMessage(message), group: groupOf(message), deduplication: deduplicationOf(message) };
};

export const done = { batchItemFailures: [] };
