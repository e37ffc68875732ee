import { ApiError, badRequest, type Json, parseJson } from "#base";
import { patchTypes, placeInObject, unknownInJsonPatch } from "#patch";
import { isMap, kindOf, notMap, type Patch, patcher, replaceWarnings, updateObject } from "#resources";
import { duplicateField, duplicateKeys, type FractionalNumber, fractionalNumbers, textOf } from "#wire";
import { objectAnswer } from "../answer.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/**
 * Reads the body of a PATCH request by its media type. Throws ApiError 415 for an unknown media type, and 400 for a
 * body that is no patch.
 */
export async function readPatch({ options }: RequestScope, request: ApiRequest): Promise<Patch> {
  const body = await request.body();
  // Upstream compares the text before the parameters.
  const type = (request.headers["content-type"] ?? "").replace(/(?<=.);.*$/s, "");
  const known: string[] = [patchTypes.json, patchTypes.merge, patchTypes.strategic];
  if (!known.includes(type)) throw new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  const text = textOf(body);
  const patch = parsePatch(text);
  const strict = options.fieldValidation === "Ignore" ? [] : strictErrors(type, text, patch);
  return patcher({ type, patch, strict, fractions: fractionsIn(type, text, patch) }, options.fieldValidation);
}

/** Numbers of a patch that are not integers. Upstream's strategic merge compares their values. */
function fractionsIn(type: string, text: string, patch: Json): Iterable<FractionalNumber> {
  if (type === patchTypes.strategic) return [];
  const found = fractionalNumbers(text);
  return type === patchTypes.merge ? found : { [Symbol.iterator]: () => placed(found, patch) };
}

function* placed(found: Iterable<FractionalNumber>, patch: Json): Generator<FractionalNumber> {
  for (const { path, source } of found) {
    const place = placeInObject(patch, path);
    if (place) yield { path: place, source };
  }
}

/** Upstream's error for a patch that is no JSON (`validateAndTranscodePatch`). */
function parsePatch(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    throw badRequest("invalid JSON patch");
  }
}

/** What a strict decoder finds wrong with a patch itself; throws ApiError 400 where it has a wrong type. */
function strictErrors(type: string, text: string, patch: Json): string[] {
  const duplicates = duplicateKeys(text).map(duplicateField);
  if (type === patchTypes.strategic) return duplicates;
  if (type === patchTypes.merge) {
    if (!isMap(patch)) throw badRequest(`error decoding patch: ${notMap(patch)}`);
    return duplicates;
  }
  const unknown = unknownInJsonPatch(patch).map((path) => `unknown field "${path}"`);
  return [...unknown, ...duplicates].map((error) => `json patch ${error}`);
}

/** PATCH of an object, or of its status or another part of it. */
export async function patch(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const apply = await readPatch(call, request);
  const written = await updateObject(call, {
    isPatch: true,
    next(current) {
      const { object, warnings } = apply(kindOf(call), current);
      replaceWarnings(call, warnings);
      return object;
    },
  });
  return objectAnswer(call, request, 200, written);
}
