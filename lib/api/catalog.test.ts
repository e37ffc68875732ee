import { expect, test } from "vitest";
import { catalog, eventsEvents, type Kind, type MessageShape, type Shape, storageOf } from "./index.ts";

/** Every message below a shape, once. */
function messagesBelow(shape: Shape, found = new Map<string, MessageShape>()): Map<string, MessageShape> {
  if (shape.type === "list") return messagesBelow(shape.item, found);
  if (shape.type === "map") return messagesBelow(shape.value, found);
  if (shape.type === "scalar" || found.has(shape.name)) return found;
  found.set(shape.name, shape);
  for (const field of shape.fields.values()) messagesBelow(field.shape, found);
  return found;
}

const messages = new Map<string, MessageShape>();
for (const { shape } of catalog) messagesBelow(shape, messages);

test("there are messages to inspect", () => {
  expect(messages.size).toBeGreaterThan(180);
});

test.each([...messages.values()])("$name", (message) => {
  const taken = new Set<string>();
  for (const [name, { facts, shape }] of message.fields) {
    const at = `${message.name}.${name}`;
    expect(facts.doc?.endsWith("."), `${at} has a sentence`).toBe(true);
    expect(facts.n, `${at} has a number`).toBeGreaterThan(0);
    const place = `${facts.proto?.message ?? ""}#${facts.n}`;
    expect(taken.has(place), `${at} shares its number`).toBe(false);
    taken.add(place);
    const item = shape.type === "list" && shape.item.type === "message" ? shape.item : undefined;
    for (const key of [...(facts.keys ?? []), ...(facts.mergeKey ? [facts.mergeKey] : [])]) {
      expect(item?.fields.has(key), `${at} merges by ${key}`).toBe(true);
    }
    if (facts.list === "map") expect(facts.keys?.length, `${at} is a map without keys`).toBeGreaterThan(0);
  }
  // A message that protobuf nests has a number of its own among its outer one's.
  for (const { facts } of message.fields.values()) {
    if (facts.proto) expect(taken.has(`#${facts.proto.n}`), `${message.name} nests ${facts.proto.field}`).toBe(false);
  }
});

test("warns of names that collide", () => {
  const names = new Map<string, Kind[]>();
  for (const kind of catalog) names.set(storageOf(kind), [...(names.get(storageOf(kind)) ?? []), kind]);
  for (const kinds of names.values()) expect(kinds.filter(({ stored }) => !stored)).toHaveLength(1);
  const paths = catalog.map(({ group, version, plural }) => `${group}/${version}/${plural}`);
  expect(new Set(paths).size).toBe(paths.length);
});

test.each(catalog.map((kind) => ({ kind, name: kind.kind })))("the hooks of $name bear an empty object", ({ kind }) => {
  const object = (): never => ({ metadata: { name: "a", namespace: "b" } }) as never;
  const made = object();
  kind.prepareForCreate?.(made, { now: 0 });
  kind.defaults?.(made);
  kind.validate?.(made);
  kind.validateCreate?.(made);
  kind.validateUpdate?.(made, object());
  kind.prepareForUpdate?.(made, object(), { now: 0 });
  kind.warnings?.(made, undefined);
  kind.generation?.(made);
  kind.prepareForDelete?.(made, { now: 0 });
  for (const read of Object.values(kind.fields ?? {})) expect(typeof read(made)).toBe("string");
  for (const column of kind.columns ?? []) expect(column.value(made, 0), column.name).not.toBeUndefined();
  for (const part of Object.values(kind.subresources ?? {})) {
    if (part.type === "status") part.validate?.(made, object());
    if (part.type === "status") part.prepare?.(made, object(), { now: 0 });
    if (part.type === "partialUpdate") part.prepare(made, object(), { now: 0 });
    if (part.type === "partialUpdate") part.validate?.(made, object());
  }
});

test("events keep everything on the way through the older form", () => {
  const event = {
    metadata: { name: "a", namespace: "n" },
    regarding: { kind: "Pod", name: "p" },
    note: "text",
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingController: "c",
    reportingInstance: "i",
    deprecatedCount: 3,
    deprecatedSource: { component: "k" },
    deprecatedFirstTimestamp: "2026-01-01T00:00:00Z",
    deprecatedLastTimestamp: "2026-01-02T00:00:00Z",
    type: "Normal",
  };
  const core = eventsEvents.stored!.to(event);
  expect(core).toMatchObject({ involvedObject: { name: "p" }, message: "text", reportingComponent: "c", count: 3 });
  expect(eventsEvents.stored!.from(core)).toEqual(event);
});
