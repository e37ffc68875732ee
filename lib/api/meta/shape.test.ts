import { expect, expectTypeOf, test } from "vitest";
import type * as z from "zod";
import { decode } from "./decode.ts";
import { boolean, int32, intOrString, list, map, message, optional, required, string } from "./field.ts";
import { messageShapeOf } from "./shape.ts";

let made = 0;
const Inner = message("x.Inner", () => {
  made++;
  return { name: required(1, string, "A name."), labels: optional(2, map(string)) };
});
const Outer = message("x.Outer", () => ({
  inner: optional(1, Inner, "The inner one."),
  items: required(2, list(Inner), "Several.", { list: "map", keys: ["name"], mergeKey: "name" }),
  count: optional(3, int32, undefined, { default: 7 }),
}));

test("a message is made when it is first looked at, once", () => {
  const shape = messageShapeOf(Outer);
  const inner = shape.fields.get("inner")?.shape;
  expect(made).toBe(0);
  expect(inner?.type === "message" && [...inner.fields.keys()]).toEqual(["name", "labels"]);
  const items = shape.fields.get("items")?.shape;
  expect(items?.type === "list" && items.item).toBe(inner);
  expect(made).toBe(1);
});

test("facts stay with the field, behind optional and required alike", () => {
  const { fields } = messageShapeOf(Outer);
  expect(fields.get("items")).toMatchObject({ required: true, facts: { n: 2, mergeKey: "name", doc: "Several." } });
  expect(fields.get("count")).toMatchObject({
    required: false,
    facts: { n: 3, default: 7 },
    shape: { type: "scalar", scalar: "int32" },
  });
});

test("the TypeScript type follows the schema", () => {
  expectTypeOf<z.infer<typeof Outer>>().toEqualTypeOf<{
    inner?: { name: string; labels?: Record<string, string> | undefined } | undefined;
    items: { name: string; labels?: Record<string, string> | undefined }[];
    count?: number | undefined;
  }>();
  expect(Outer.safeParse({ items: [{ name: "a" }] }).success).toBe(true);
});

test("zero values are left out where upstream has no pointer", () => {
  const shape = messageShapeOf(
    message("x.Zeros", () => ({
      name: optional(1, string),
      count: optional(2, int32),
      on: optional(3, boolean),
      port: optional(4, intOrString),
      labels: optional(5, map(string)),
      must: required(6, int32),
      replicas: optional(7, int32, undefined, { isPointer: true }),
      immutable: optional(8, boolean, undefined, { isPointer: true }),
      group: optional(9, string, undefined, { isPointer: true }),
    })),
  );
  const kept = { port: 0, labels: { a: "" }, must: 0, replicas: 0, immutable: false, group: "" };
  expect(decode(shape, { name: "", count: 0, on: false, ...kept }).object).toEqual(kept);
  expect(decode(shape, { name: "a", count: 1, on: true, must: 1 }).object).toMatchObject({ count: 1, on: true });
});
