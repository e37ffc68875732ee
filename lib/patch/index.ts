/**
 * The patch types of the API, each a pure function from (object, patch) to a new object: JSON Patch, JSON merge patch
 * and strategic merge patch. Server-side apply is refused by name.
 */
export { conversionError } from "./convert.ts";
export { jsonPatch, placeInObject, unknownInJsonPatch } from "./json-patch.ts";
export { mergePatch } from "./merge-patch.ts";
export { patchTypes } from "./patch-types.ts";
export { strategicMerge } from "./strategic-merge.ts";
export { cannotUnmarshal, goText } from "./words.ts";
