import { applyPatch, type Operation } from "rfc6902";
import { ApiError, badRequest, clone, type Json, type JsonObject, messageOf } from "#base";

/** As many operations as upstream takes. */
const maximumOperations = 10_000;

const kinds = new Set(["add", "remove", "replace", "move", "copy", "test"]);

/**
 * Applies RFC 6902 operations to a copy. Throws ApiError 400 for a patch that is none, 413 for too many operations,
 * and 422 where an operation does not fit the object or a test fails, as upstream does.
 */
export function jsonPatch(object: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch))
    throw badRequest("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  if (patch.length > maximumOperations) {
    throw new ApiError(
      413,
      "RequestEntityTooLarge",
      `Request entity is too large: The allowed maximum operations in a JSON patch is ${maximumOperations}, got ${patch.length}`,
    );
  }
  for (const operation of patch) checkOperation(operation);
  const result = clone(object);
  let errors: (Error | null)[];
  try {
    errors = applyPatch(result, patch as unknown as Operation[]);
  } catch (error) {
    throw refused(messageOf(error));
  }
  const failed = errors.find((error) => error !== null);
  if (failed) throw refused(failed.message);
  return result;
}

/** Members that lead out of the object into the language. */
const forbidden = /(?:^|\/)(?:__proto__|constructor|prototype)(?:\/|$)/;

function checkOperation(operation: Json): void {
  const { op, path, from } = (operation ?? {}) as JsonObject;
  if (typeof op !== "string" || !kinds.has(op)) throw refused(`Unexpected kind: ${String(op)}`);
  if (typeof path !== "string" || (path !== "" && !path.startsWith("/"))) throw refused("missing path");
  for (const place of [path, from]) {
    if (typeof place === "string" && forbidden.test(place)) throw refused(`path ${place} is not allowed`);
  }
}

/** Upstream tells no more than this; the reason stays with the error for the log. */
const refused = (why: string): ApiError =>
  new ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {}, { cause: why });
