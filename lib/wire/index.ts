/**
 * How objects travel: JSON, YAML and protobuf in and out, tables and partial metadata, content negotiation, and the
 * strictness that clients ask for. It knows shapes and columns, never what a kind means, and never a socket.
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
/** Protobuf in both directions, loaded when it is asked for. */
export const protobuf = (): Promise<typeof import("./protobuf.ts")> => import("./protobuf.ts");
/** YAML in both directions, loaded when it is asked for. */
export const yaml = (): Promise<typeof import("./yaml.ts")> => import("./yaml.ts");
