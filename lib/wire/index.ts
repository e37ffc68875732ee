/**
 * The encodings of objects: JSON, YAML and protobuf in and out, tables and partial metadata, content negotiation, and
 * strict decoding. It knows shapes and columns, and neither kinds nor sockets.
 */
export {
  bodyTypes,
  checkType,
  duplicateField,
  type FieldValidation,
  mediaTypeOf,
  parseJsonBody,
  type RawBody,
  type Received,
  readObject,
  readText,
  receive,
  textOf,
  typeMeta,
} from "./body.ts";
export { type Format, type NegotiationOptions, negotiate, parseAccept } from "./negotiate.ts";
export { type OpenapiV2, openapiV2Types } from "./openapi-v2.ts";
export { duplicateKeys, type FractionalNumber, fractionalNumbers, maximumDepth } from "./scan.ts";
export { columnDefinitions, type IncludeObject, partialMetadata, table, tableRow } from "./table.ts";
/** Protobuf in both directions, loaded on first use. */
export const protobuf = (): Promise<typeof import("./protobuf.ts")> => import("./protobuf.ts");
/** YAML in both directions, loaded on first use. */
export const yaml = (): Promise<typeof import("./yaml.ts")> => import("./yaml.ts");
