import * as z from "zod";

/** What a field is beyond its JSON type. Everything derived (protobuf, OpenAPI, patches, explain) reads this. */
export interface FieldMetadata {
  /** Protobuf field number; absent where the field has none of its own (members that JSON inlines). */
  n?: number;
  /** One sentence for `kubectl explain`, in our words. */
  doc?: string;
  /** How server-side apply treats a list, and by which keys. */
  list?: "atomic" | "set" | "map";
  keys?: readonly string[];
  /** Server-side apply takes the map or message in this field as a whole. */
  atomic?: true;
  /** Strategic merge: lists of messages merge by this key. */
  mergeKey?: string;
  /** Strategic merge: a list of scalars, or a map of messages, merges. */
  merge?: true;
  /** Strategic merge: only the members that the patch names in $retainKeys stay. */
  retainKeys?: true;
  /** The value that an absent field gets, where no other field decides it. */
  default?: string | number | boolean;
  /**
   * A pointer upstream: an optional field in which "", 0 or false is not the same as none, where they are left out
   * elsewhere; a required message that stays absent where others are made empty by the decoder.
   */
  isPointer?: true;
  /**
   * Printed also where it is empty, though a client may leave it out: a struct upstream, or a field without `omitempty`.
   * Messages, texts and numbers get their zero value with the defaults; times, lists, maps and what `isPointer` are
   * absent in memory and null in JSON.
   */
  printed?: true;
  /** The allowed values, where the API fixes them; of a list its items'. */
  values?: readonly string[];
  /** Its feature gate is off upstream: a client may send the field, and it is dropped. */
  gated?: true;
  /** The message that holds this field in protobuf, where JSON inlines what protobuf nests. */
  proto?: ProtoPlace;
}

/** A field that protobuf nests in another message: the nested message's name and its field in the outer one. */
export interface ProtoPlace {
  /** Name of the outer message's protobuf field, such as `volumeSource`. */
  field: string;
  /** Its number there. */
  n: number;
  /** Full name of the nested message, such as `io.k8s.api.core.v1.VolumeSource`. */
  message: string;
}

const facts = z.registry<FieldMetadata>();
const messages = z.registry<{ name: string; atomic?: true }>();

type Options = Omit<FieldMetadata, "n" | "doc">;

const factsFrom = (n: number, doc: string | undefined, options: Options): FieldMetadata => ({
  ...(n > 0 ? { n } : {}),
  ...(doc === undefined ? {} : { doc }),
  ...options,
});

/** A field that upstream prints even when it is empty and that a client must send. `n` 0: no protobuf number. */
export function required<S extends z.ZodType>(n: number, schema: S, doc?: string, options: Options = {}): S {
  // One scalar schema serves many fields: these facts belong to a clone, which inherits the scalar's through its parent.
  const own = z.core.clone(schema, undefined, { parent: true }) as S;
  facts.add(own, factsFrom(n, doc, options));
  return own;
}

/** A field that may be absent. Upstream reads null as absent: nulls are removed before parsing. */
export function optional<S extends z.ZodType>(
  n: number,
  schema: S,
  doc?: string,
  options: Options = {},
): z.ZodOptional<S> {
  const own = schema.optional();
  facts.add(own, factsFrom(n, doc, options));
  return own;
}

/**
 * An object type with a name of its own in OpenAPI and protobuf, such as `io.k8s.api.core.v1.Pod`. The fields are
 * made when they are first looked at: importing a kind costs nothing until it is used.
 */
export function message<S extends z.ZodRawShape>(
  name: string,
  fields: () => S,
  options: { /** Server-side apply takes it as a whole. */ atomic?: true } = {},
): z.ZodObject<S, z.core.$strip> {
  const own = new z.ZodObject({
    type: "object",
    get shape() {
      const shape = fields();
      Object.defineProperty(this, "shape", { value: shape });
      return shape;
    },
  } as unknown as z.core.$ZodObjectDef<S>) as unknown as z.ZodObject<S, z.core.$strip>;
  messages.add(own, { name, ...options });
  return own;
}

export const factsOf = (schema: z.ZodType): FieldMetadata => facts.get(schema) ?? {};
export const messageFactsOf = (schema: z.ZodType): { name: string; atomic?: true } | undefined => messages.get(schema);

/** Kubernetes' scalar types, which JSON does not distinguish. */
export type Scalar =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "double"
  | "bytes"
  | "time"
  | "microTime"
  | "quantity"
  | "intOrString"
  | "duration"
  | "fieldsV1"
  | "raw";

const scalars = z.registry<{ scalar: Scalar }>();
const scalar = <S extends z.ZodType>(schema: S, name: Scalar): S => {
  scalars.add(schema, { scalar: name });
  return schema;
};
export const scalarOf = (schema: z.ZodType): Scalar | undefined => scalars.get(schema)?.scalar;

export const string = scalar(z.string(), "string");
export const boolean = scalar(z.boolean(), "boolean");
export const int32 = scalar(z.number().int().min(-2147483648).max(2147483647), "int32");
/** Beyond 2^53 the value is a bigint, as lib/base's JSON reads it. */
export const int64 = scalar(z.union([z.number(), z.bigint()]) as unknown as z.ZodNumber, "int64");
export const double = scalar(z.number(), "double");
/** Base64 text, as JSON carries bytes. */
export const bytes = scalar(z.string(), "bytes");
/** RFC 3339 with whole seconds, in UTC: `2026-01-02T03:04:05Z`. */
export const time = scalar(z.string(), "time");
/** RFC 3339 with microseconds, in UTC. */
export const microTime = scalar(z.string(), "microTime");
/** A resource quantity in canonical form, such as `100m` or `1Gi`. */
export const quantity = scalar(z.string(), "quantity");
export const intOrString = scalar(z.union([z.number(), z.string()]), "intOrString");
/** A Go duration, such as `1h0m0s`. */
export const duration = scalar(z.string(), "duration");
export const fieldsV1 = scalar(z.record(z.string(), z.unknown()), "fieldsV1");
/** Any JSON, unchanged (RawExtension). */
export const raw = scalar(z.unknown(), "raw");

/** A list of something. */
export const list = <S extends z.ZodType>(item: S): z.ZodArray<S> => z.array(item);
/** A map with string keys. */
export const map = <S extends z.ZodType>(value: S): z.ZodRecord<z.ZodString, S> => z.record(z.string(), value);
/** A string that must be one of these; refused by validation (422), not by decoding, as upstream does. */
export const oneOf = <const V extends readonly string[]>(..._values: V): z.ZodType<V[number]> =>
  string as unknown as z.ZodType<V[number]>;
