import type { Json, JsonObject } from "#base";
import type { FieldShape, MessageShape, Shape } from "./shape.ts";

/*
 * The values of absent fields. Go's structs have a zero value for every member, and Go prints it where the member is a
 * struct or not marked `omitempty`. Objects in memory have the zero values that a reader can use; the others, which
 * JSON shows as null, stand in the text alone.
 */

/** Undefined: JSON has no zero value for it. */
export function zero(shape: Shape): Json | undefined {
  if (shape.type === "list") return [];
  if (shape.type !== "scalar") return {};
  if (shape.scalar === "boolean") return false;
  if (shape.scalar === "quantity") return "0";
  if (shape.scalar === "time" || shape.scalar === "microTime" || shape.scalar === "raw") return undefined;
  return ["int32", "int64", "double", "intOrString"].includes(shape.scalar) ? 0 : "";
}

const isTime = (shape: Shape): boolean =>
  shape.type === "scalar" && (shape.scalar === "time" || shape.scalar === "microTime");
const isCollection = (shape: Shape): boolean => shape.type === "list" || shape.type === "map";

/** Whether JSON shows the empty field as null: a time, a list or map that may be left out, and a pointer. */
function printsNull({ shape, required, facts }: FieldShape): boolean {
  if (isTime(shape)) return required || facts.printed === true;
  return facts.printed === true && (facts.isPointer === true || isCollection(shape));
}

/** What walks below a message need of it, made once. */
interface Zeros {
  /** Fields that get their zero value where they are absent. */
  filled: [string, FieldShape][];
  /** Fields that are null in JSON where they are absent. */
  nulls: [string, FieldShape][];
  /** Fields below which there are such. */
  inner: [string, Shape][];
}

const known = new WeakMap<MessageShape, Zeros>();

function zerosOf(shape: MessageShape): Zeros {
  const made = known.get(shape);
  if (made) return made;
  const fields = [...shape.fields];
  const isFilled = (field: FieldShape) =>
    !field.facts.gated &&
    ((field.required && !field.facts.isPointer) || (field.facts.printed === true && !printsNull(field)));
  const zeros: Zeros = {
    filled: fields.filter(([, field]) => isFilled(field)),
    nulls: fields.filter(([, field]) => printsNull(field)),
    inner: fields.flatMap(([name, field]): [string, Shape][] => (hasNulls(field.shape) ? [[name, field.shape]] : [])),
  };
  known.set(shape, zeros);
  return zeros;
}

const withNullsBelow = new WeakMap<Shape, boolean>();

/** A cycle counts as none on its way back. */
function hasNulls(shape: Shape): boolean {
  if (shape.type === "scalar") return false;
  if (shape.type === "list") return hasNulls(shape.item);
  if (shape.type === "map") return hasNulls(shape.value);
  const found = withNullsBelow.get(shape);
  if (found !== undefined) return found;
  withNullsBelow.set(shape, false);
  const has = [...shape.fields.values()].some((field) => printsNull(field) || hasNulls(field.shape));
  withNullsBelow.set(shape, has);
  return has;
}

/**
 * Gives absent fields of a message their zero values, as Go's structs have them: whatever reads a decoded object may
 * rely on its required lists, maps, texts, numbers and messages. Times have no zero value in JSON, and what is a
 * pointer upstream (`isPointer`) stays absent.
 */
export function fillMessage(shape: MessageShape, object: JsonObject): void {
  for (const [name, field] of zerosOf(shape).filled) {
    if (object[name] !== undefined) continue;
    const value = zero(field.shape);
    if (value === undefined) continue;
    if (field.shape.type === "message") fillMessage(field.shape, value as JsonObject);
    object[name] = value;
  }
}

/** Does in place for an object from elsewhere what `decode` does: zero values at every depth. */
export function fillZeros(shape: Shape, value: unknown): void {
  if (value === undefined || value === null || shape.type === "scalar") return;
  if (shape.type === "list") for (const item of value as unknown[]) fillZeros(shape.item, item);
  else if (shape.type === "map") for (const item of Object.values(value as object)) fillZeros(shape.value, item);
  else {
    const object = value as JsonObject;
    fillMessage(shape, object);
    for (const name in object) {
      const field = shape.fields.get(name);
      if (field) fillZeros(field.shape, object[name]);
    }
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === "object" &&
    value !== null &&
    (Array.isArray(value) ? value.length : Object.keys(value).length) === 0);

/**
 * The object as Go prints it: with null for what is empty and has no other form in JSON, such as the `eventTime` of an
 * event. The argument is not changed; the result shares with it what is the same.
 */
export function withNulls<T>(shape: Shape, value: T): T {
  if (value === undefined || value === null || !hasNulls(shape)) return value;
  if (shape.type === "list") {
    const list = value as unknown[];
    const items = list.map((item) => withNulls(shape.item, item));
    return items.some((item, index) => item !== list[index]) ? (items as T) : value;
  }
  if (shape.type === "map") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withNulls(shape.value, item)])) as T;
  }
  return shape.type === "message" ? (messageWithNulls(shape, value as JsonObject) as T) : value;
}

function messageWithNulls(shape: MessageShape, object: JsonObject): JsonObject {
  const { inner, nulls } = zerosOf(shape);
  let copy: JsonObject | undefined;
  for (const [name, below] of inner) {
    const value = withNulls(below, object[name]);
    if (value === object[name]) continue;
    copy ??= { ...object };
    copy[name] = value!;
  }
  for (const [name, { shape: below }] of nulls) {
    const value = object[name];
    if (value !== undefined && !(isCollection(below) && isEmpty(value))) continue;
    copy ??= { ...object };
    copy[name] = null;
  }
  return copy ?? object;
}

/**
 * Takes what `withNulls` adds out of a parsed object again, in place. The members become undefined, which is the same as
 * absent to everything that reads objects; to delete them would cost as much as to parse them.
 */
export function withoutNulls<T>(shape: Shape, value: T): T {
  if (value === undefined || value === null || !hasNulls(shape)) return value;
  if (shape.type === "list") for (const item of value as unknown[]) withoutNulls(shape.item, item);
  else if (shape.type === "map") for (const item of Object.values(value)) withoutNulls(shape.value, item);
  else if (shape.type === "message") {
    const object = value as JsonObject;
    const { inner, nulls } = zerosOf(shape);
    for (const [name] of nulls) if (object[name] === null) object[name] = undefined as never;
    for (const [name, below] of inner) withoutNulls(below, object[name]);
  }
  return value;
}
