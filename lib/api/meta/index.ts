/**
 * What all kinds share: fields and their facts, object metadata, the definition of a kind, field errors, names,
 * quantities, times, selectors, and the decoder that turns what was sent into an object. No kind lives here.
 */
export * from "./access.ts";
export * from "./check.ts";
export * from "./columns.ts";
export * from "./conditions.ts";
export * from "./controller-ref.ts";
export { applyDefaults, type Decoded, decode } from "./decode.ts";
export * from "./field.ts";
export * from "./field-error.ts";
export * from "./ip.ts";
export * from "./kind.ts";
export * from "./names.ts";
export type * from "./node-request.ts";
export * from "./node-usage.ts";
export * from "./object-meta.ts";
export * from "./quantity.ts";
export * from "./selector.ts";
export { parseSelector } from "./selector-parser.ts";
export * from "./selector-text.ts";
export * from "./shape.ts";
export * from "./time.ts";
export * from "./validate-meta.ts";
export { fillZeros, withNulls, withoutNulls } from "./zeros.ts";
