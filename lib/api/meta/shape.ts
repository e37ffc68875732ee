import * as z from "zod";
import { type FieldMetadata, factsOf, messageFactsOf, type Scalar, scalarOf } from "./field.ts";

/** A schema compiled to what readers need at run time: one walk over zod, then plain data. */
export type Shape =
  | { type: "scalar"; scalar: Scalar }
  | { type: "list"; item: Shape }
  | { type: "map"; value: Shape }
  | MessageShape;

export interface MessageShape {
  type: "message";
  /** Full name, such as `io.k8s.api.core.v1.PodSpec`. */
  name: string;
  /** Server-side apply takes it as a whole. */
  atomic?: true;
  fields: ReadonlyMap<string, FieldShape>;
}

export interface FieldShape {
  shape: Shape;
  required: boolean;
  facts: FieldMetadata;
}

/**
 * Whether a field with this value counts as absent: upstream leaves out zero values of what is no pointer there, and
 * fields that are gated off.
 */
export function isLeftOut({ shape, required, facts }: FieldShape, value: unknown): boolean {
  if (facts.gated) return true;
  if (required || facts.isPointer || shape.type !== "scalar") return false;
  if (value === "") return shape.scalar !== "intOrString";
  if (value === false) return true;
  return (value === 0 || value === 0n) && ["int32", "int64", "double"].includes(shape.scalar);
}

const compiled = new WeakMap<z.ZodType, Shape>();

/** Compiles a schema; the result is made once per schema, its messages' fields when they are first looked at. */
export function shapeOf(schema: z.ZodType): Shape {
  const known = compiled.get(schema);
  if (known) return known;
  const made = compile(schema);
  compiled.set(schema, made);
  return made;
}

/** The shape of an object type. */
export function messageShapeOf(schema: z.ZodType): MessageShape {
  const shape = shapeOf(schema);
  if (shape.type !== "message") throw new Error("the schema of an object type is needed");
  return shape;
}

function compile(schema: z.ZodType): Shape {
  const scalar = scalarInside(schema);
  if (scalar) return { type: "scalar", scalar };
  if (schema instanceof z.ZodOptional) return shapeOf(schema.unwrap() as z.ZodType);
  // A clone (see `required`) shares its parent's fields, and its shape.
  const parent = schema._zod.parent as z.ZodType | undefined;
  if (parent) return shapeOf(parent);
  if (schema instanceof z.ZodLazy) return shapeOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodArray) return { type: "list", item: shapeOf(schema.element as z.ZodType) };
  if (schema instanceof z.ZodRecord) return { type: "map", value: shapeOf(schema.valueType as z.ZodType) };
  if (schema instanceof z.ZodObject) return messageShape(schema);
  throw new Error(`a schema of type ${schema._zod.def.type} has no place in the API`);
}

function scalarInside(schema: z.ZodType): Scalar | undefined {
  const own = scalarOf(schema);
  if (own) return own;
  const parent = schema._zod.parent as z.ZodType | undefined;
  return parent ? scalarInside(parent) : undefined;
}

function messageShape(schema: z.ZodObject): MessageShape {
  const facts = messageFactsOf(schema);
  if (!facts) throw new Error("an object type of the API needs a name: use message()");
  let fields: Map<string, FieldShape> | undefined;
  return {
    type: "message",
    ...facts,
    get fields() {
      fields ??= new Map(Object.entries(schema.shape).map(([key, field]) => [key, fieldShape(field as z.ZodType)]));
      return fields;
    },
  };
}

const fieldShape = (schema: z.ZodType): FieldShape => ({
  shape: shapeOf(schema),
  required: !(schema instanceof z.ZodOptional),
  facts: factsOf(schema),
});
