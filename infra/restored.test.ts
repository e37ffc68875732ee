import { expect, test } from "vitest";
import { parseConfig } from "./config.ts";
import { least, synthesize } from "./testing/index.ts";

const restored = {
  objects: "demo-objects-2",
  changes: "demo-changes-2",
  stream: "arn:aws:dynamodb:eu-west-1:123456789012:table/demo-changes-2/stream/2026-11-23T10:00:00.000",
};

test("a cluster uses restored tables, and creates none", async () => {
  const { templates } = await synthesize({ ...least, account: "123456789012", restored });
  const all = Object.values(templates).flatMap(({ Resources }) => Object.values(Resources));
  expect(all.filter(({ Type }) => Type === "AWS::DynamoDB::Table")).toEqual([]);
  const functions = all.filter(({ Type }) => Type === "AWS::Lambda::Function");
  expect(functions.length).toBeGreaterThan(7);
  for (const { Properties } of functions) {
    expect(Properties?.["Environment"]).toMatchObject({
      Variables: { SKIFF_OBJECTS_TABLE: restored.objects, SKIFF_CHANGES_TABLE: restored.changes },
    });
  }
  const sources = all.filter(({ Type }) => Type === "AWS::Lambda::EventSourceMapping");
  expect(sources.map(({ Properties }) => Properties?.["EventSourceArn"])).toContain(restored.stream);
  // By name and not by another stack's export: the users of the tables are deployed before the storage.
  const policies = JSON.stringify(all.filter(({ Type }) => Type === "AWS::IAM::Role"));
  expect(policies).toContain(`:table/${restored.objects}`);
  expect(policies).toContain(restored.stream);
}, 60_000);

test("the stream is the one of the table of changes", () => {
  const other = { ...restored, changes: "demo-changes-3" };
  expect(() => parseConfig({ ...least, restored: other }, "test")).toThrow("restored.stream: is not demo-changes-3's");
});
