import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalog, fillZeros, type MessageShape, type Shape, withNulls } from "#api";
import type { Json, JsonObject } from "#base";

/**
 * What Go prints of the zero value of each type of k8s.io/api and apimachinery v0.37.2, by reflection: members that are
 * no pointer to a struct, or have neither `omitempty` nor `omitzero`. `{}` stands for a struct, whatever it holds.
 */
const zeros = JSON.parse(readFileSync(join(import.meta.dirname, "zeros.json"), "utf8")) as Record<string, JsonObject>;

function messagesOf(shape: Shape, found = new Set<MessageShape>()): Set<MessageShape> {
  if (shape.type === "list") messagesOf(shape.item, found);
  else if (shape.type === "map") messagesOf(shape.value, found);
  else if (shape.type === "message" && !found.has(shape)) {
    found.add(shape);
    for (const field of shape.fields.values()) messagesOf(field.shape, found);
  }
  return found;
}

const messages = new Map<string, MessageShape>();
for (const kind of catalog) for (const shape of messagesOf(kind.shape)) messages.set(shape.name, shape);

/** Fields that are never empty once an object stands: defaults fill them, or validation asks for them. */
function isNeverEmpty(shape: MessageShape, name: string): boolean {
  const { required, facts, shape: inner } = shape.fields.get(name)!;
  const isKind = catalog.some((kind) => kind.shape === shape);
  if (isKind && name === "metadata") return true;
  if (facts.default !== undefined || facts.gated || name === "targetPort") return true;
  return required && (inner.type === "list" || facts.isPointer === true || name === "priority");
}

test.each(Object.keys(zeros))("%s is printed as upstream prints it when it is empty", (name) => {
  const shape = messages.get(name)!;
  const object: JsonObject = {};
  fillZeros(shape, object);
  const text: JsonObject = withNulls(shape, object);
  const shown = (member: string, value: Json | undefined) =>
    shape.fields.get(member)?.shape.type === "message" && value !== null && value !== undefined ? {} : value;
  for (const [member, value] of Object.entries(zeros[name]!)) {
    if (!isNeverEmpty(shape, member)) expect([member, shown(member, text[member])]).toEqual([member, value]);
  }
});
