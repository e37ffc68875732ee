import protobuf from "protobufjs/minimal.js";
import { type Json, type JsonObject, stringifyJson } from "#base";
import type { OpenapiV2 } from "./openapi-v2.ts";

/*
 * OpenAPI v2 in the protobuf form of Kubernetes' clients (gnostic's openapiv2.Document), with its field numbers. It has
 * the definitions; the paths are empty, since no client reads them.
 */

const bytes = (field: number): number => (field << 3) | 2;
type Writer = protobuf.Writer;

function nested(writer: Writer, field: number, write: () => void): void {
  writer.uint32(bytes(field)).fork();
  write();
  writer.ldelim();
}

function text(writer: Writer, field: number, value: Json | undefined): void {
  if (typeof value === "string" && value !== "") writer.uint32(bytes(field)).string(value);
}

/** Encodes a document. Members of schemas that OpenAPI v2 does not know are left out. */
export function encodeOpenapiV2({ swagger, info, definitions }: OpenapiV2): Uint8Array {
  const writer = protobuf.Writer.create();
  text(writer, 1, swagger);
  nested(writer, 2, () => {
    text(writer, 1, info.title);
    text(writer, 2, info.version);
  });
  nested(writer, 8, () => {});
  nested(writer, 9, () => {
    for (const [name, schema] of Object.entries(definitions)) namedSchema(writer, 1, name, schema);
  });
  return writer.finish();
}

function namedSchema(writer: Writer, field: number, name: string, schema: JsonObject): void {
  nested(writer, field, () => {
    text(writer, 1, name);
    nested(writer, 2, () => writeSchema(writer, schema));
  });
}

/** Any value: YAML, of which JSON is a part. */
const any = (writer: Writer, field: number, value: Json): void =>
  nested(writer, field, () => text(writer, 2, stringifyJson(value)));

function writeSchema(writer: Writer, schema: JsonObject): void {
  text(writer, 1, schema["$ref"]);
  text(writer, 2, schema["format"]);
  text(writer, 4, schema["description"]);
  if (schema["default"] !== undefined) any(writer, 5, schema["default"]);
  for (const name of (schema["required"] as string[] | undefined) ?? []) text(writer, 19, name);
  for (const value of (schema["enum"] as Json[] | undefined) ?? []) any(writer, 20, value);
  const { additionalProperties, items, properties, type } = schema as Record<string, JsonObject | undefined>;
  if (additionalProperties) {
    nested(writer, 21, () => nested(writer, 1, () => writeSchema(writer, additionalProperties)));
  }
  if (type !== undefined) nested(writer, 22, () => text(writer, 1, type as unknown as string));
  if (items) nested(writer, 23, () => nested(writer, 1, () => writeSchema(writer, items)));
  if (properties) {
    nested(writer, 25, () => {
      for (const [name, property] of Object.entries(properties)) namedSchema(writer, 1, name, property as JsonObject);
    });
  }
  for (const [name, value] of Object.entries(schema)) {
    if (!name.startsWith("x-")) continue;
    nested(writer, 31, () => {
      text(writer, 1, name);
      any(writer, 2, value);
    });
  }
}
