import { expect, test } from "vitest";
import { list, map, message, messageShapeOf, optional, required, string } from "#api/meta";
import { strategicMerge } from "./index.ts";

const Env = message("x.Env", () => ({ name: required(1, string), value: optional(2, string) }));
const Container = message("x.Container", () => ({
  name: required(1, string),
  image: optional(2, string),
  env: optional(3, list(Env), undefined, { mergeKey: "name" }),
  args: optional(4, list(string)),
}));
const Strategy = message("x.Strategy", () => ({ type: optional(1, string), rolling: optional(2, map(string)) }));
const Root = message("x.Root", () => ({
  containers: required(1, list(Container), undefined, { mergeKey: "name" }),
  finalizers: optional(2, list(string), undefined, { merge: true }),
  strategy: optional(3, Strategy, undefined, { retainKeys: true }),
  labels: optional(4, map(string)),
}));
const shape = messageShapeOf(Root);

// Each row follows apimachinery's pkg/util/strategicpatch and the document on strategic merge patch.
const rows: [string, object, object, object][] = [
  [
    "a map merges, null removes",
    { labels: { a: "1", b: "2" } },
    { labels: { b: null, c: "3" } },
    { labels: { a: "1", c: "3" } },
  ],
  [
    "a list of messages merges by its key",
    { containers: [{ name: "a", image: "1" }, { name: "b" }] },
    { containers: [{ name: "a", image: "2" }, { name: "c" }] },
    { containers: [{ name: "a", image: "2" }, { name: "c" }, { name: "b" }] },
  ],
  [
    "new elements come before those that only the object has",
    { containers: [{ name: "a" }, { name: "b" }] },
    { containers: [{ name: "c" }] },
    { containers: [{ name: "c" }, { name: "a" }, { name: "b" }] },
  ],
  [
    "lists inside merged messages merge too",
    { containers: [{ name: "a", env: [{ name: "X", value: "1" }] }] },
    { containers: [{ name: "a", env: [{ name: "Y", value: "2" }] }] },
    {
      containers: [
        {
          name: "a",
          env: [
            { name: "Y", value: "2" },
            { name: "X", value: "1" },
          ],
        },
      ],
    },
  ],
  [
    "a list without a key is replaced",
    { containers: [{ name: "a", args: ["1"] }] },
    { containers: [{ name: "a", args: ["2"] }] },
    { containers: [{ name: "a", args: ["2"] }] },
  ],
  [
    "$patch: delete removes an element",
    { containers: [{ name: "a" }, { name: "b" }] },
    { containers: [{ $patch: "delete", name: "a" }] },
    { containers: [{ name: "b" }] },
  ],
  [
    "$patch: replace replaces a list",
    { containers: [{ name: "a" }] },
    { containers: [{ $patch: "replace" }, { name: "c" }] },
    { containers: [{ name: "c" }] },
  ],
  [
    "$patch: replace replaces a map",
    { labels: { a: "1" } },
    { labels: { $patch: "replace", b: "2" } },
    { labels: { b: "2" } },
  ],
  [
    "a merging list of scalars is a union",
    { finalizers: ["a", "b"] },
    { finalizers: ["b", "c"] },
    { finalizers: ["a", "b", "c"] },
  ],
  [
    "scalars are removed by name",
    { finalizers: ["a", "b"] },
    { "$deleteFromPrimitiveList/finalizers": ["a"] },
    { finalizers: ["b"] },
  ],
  [
    "$retainKeys drops what it does not name",
    { strategy: { type: "Rolling", rolling: { a: "1" } } },
    { strategy: { $retainKeys: ["type"], type: "Recreate" } },
    { strategy: { type: "Recreate" } },
  ],
  [
    "$setElementOrder puts elements in order and keeps the server's own before what they stood before",
    { containers: [{ name: "a" }, { name: "server" }, { name: "b" }] },
    { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }], containers: [{ name: "b", image: "2" }] },
    { containers: [{ name: "server" }, { name: "b", image: "2" }, { name: "a" }] },
  ],
  ["a replacement of a map that is not there is dropped", {}, { labels: { $patch: "replace", a: "1" } }, {}],
  ["what is added carries no directives and no nulls", {}, { labels: { a: "1", b: null } }, { labels: { a: "1" } }],
];

test.each(rows)("%s", (_name, object, patch, expected) => {
  const before = JSON.stringify(object);
  expect(strategicMerge(shape, object as never, patch as never)).toEqual(expected);
  expect(JSON.stringify(object)).toBe(before);
});

const refusals: [string, object, RegExp][] = [
  ["an element without its key", { containers: [{ image: "1" }] }, /does not contain declared merge key: name/],
  [
    "an order of what is no field",
    { "$setElementOrder/ports": [] },
    /unable to find api field in struct Root for .* "ports"/,
  ],
  ["an unknown directive", { strategy: { $patch: "twist" } }, /unknown patch type: twist/],
  ["retained keys that miss a member", { strategy: { $retainKeys: ["rolling"], type: "x" } }, /retainKeys/],
  [
    "an order that contradicts the list",
    { "$setElementOrder/containers": [{ name: "a" }, { name: "b" }], containers: [{ name: "b" }, { name: "a" }] },
    /order/,
  ],
];

test.each(refusals)("%s is refused", (_name, patch, expected) => {
  expect(() =>
    strategicMerge(shape, { containers: [{ name: "a" }], strategy: { type: "y" } } as never, patch as never),
  ).toThrow(expected);
});
