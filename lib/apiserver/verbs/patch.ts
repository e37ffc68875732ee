import { invalidValue, type Kind, type KubernetesObject, messageShapeOf } from "#api/meta";
import {
  ApiError,
  badRequest,
  invalid,
  type Json,
  type JsonObject,
  parseJson,
  stringifyJson,
  unsupported,
} from "#base";
import {
  cannotUnmarshal,
  conversionError,
  goText,
  jsonPatch,
  mergePatch,
  patchTypes,
  placeInObject,
  strategicMerge,
  unknownInJsonPatch,
} from "#patch";
import {
  checkType,
  duplicateField,
  duplicateKeys,
  type FieldValidation,
  type FractionalNumber,
  fractionalNumbers,
  mediaTypeOf,
  receive,
  textOf,
  typeMeta,
} from "#wire";
import { objectAnswer } from "../answer.ts";
import { typed, worded } from "../objects.ts";
import { type WriteOptions, writeOptions } from "../options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf, replaceWarnings } from "../server.ts";
import { nameless, updateObject } from "../update-object.ts";

/** A patch that has been read: makes the wanted object of the stored one. */
export type Patch = (kind: Kind, current: KubernetesObject) => { object: KubernetesObject; warnings: string[] };

/** Reads the options of a patch. Throws ApiError 501 for server-side apply, whose options are others. */
export function patchOptions(request: ApiRequest): WriteOptions {
  const applies = mediaTypeOf(request.headers["content-type"]) === patchTypes.apply;
  if (applies) throw unsupported("server-side apply (application/apply-patch+yaml)");
  return writeOptions(request.query, "PatchOptions");
}

/** Chooses the patch by the media type. Throws ApiError 415 for another one. */
export function readPatch(body: Uint8Array, contentType: string | undefined, validation: FieldValidation): Patch {
  // Upstream compares the text before the parameters.
  const type = (contentType ?? "").replace(/(?<=.);.*$/s, "");
  const known: string[] = [patchTypes.json, patchTypes.merge, patchTypes.strategic];
  if (!known.includes(type)) throw new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  const text = textOf(body);
  const patch = parsePatch(text);
  const strict = validation === "Ignore" ? [] : strictErrors(type, text, patch);
  const fractions = fractionsIn(type, text, patch);
  return (kind, current) => {
    // Upstream's strategic merge works on the object, the other patches on its text.
    const before = (type === patchTypes.strategic ? typed : worded)(kind, current) as unknown as JsonObject;
    const after = applied(kind, type, before, patch);
    const refuse =
      type === patchTypes.strategic ? unconverted(kind, patch, after) : refusal(() => stringifyJson(after));
    // Upstream's strategic merge works on the object's own type: what the patch says of another is passed over.
    if (type !== patchTypes.strategic) {
      const sent = typeMeta(after, refuse);
      // Upstream reads an object that lacks its version as one without any members.
      if (sent.apiVersion === "" && isMap(after)) throw nameless(current.metadata.name ?? "");
      checkType(kind, sent, refuse);
    }
    const { object, warnings } = receive(kind, { json: after, strict, fractions }, validation, refuse);
    return { object: object as unknown as KubernetesObject, warnings };
  };
}

/** Numbers of a patch that fit no integer. Upstream's strategic merge goes by their value. */
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

/** Upstream's words for a patch that is no JSON (`validateAndTranscodePatch`). */
function parsePatch(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    throw badRequest("invalid JSON patch");
  }
}

/** What is wrong with a patch itself by a strict decoder; throws ApiError 400 where it has a wrong type. */
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

/** The answer to a patch whose result is no object of the kind: a cause without a name, as upstream makes it. */
const refusal =
  (shown: () => string) =>
  (why: string): ApiError =>
    invalid({ group: "", kind: "" }, "", [invalidValue("patch", shown(), why)]);

/** The same for a strategic merge, whose result upstream's converter reads. */
const unconverted = (kind: Kind, patch: Json, after: Json) => (why: string) =>
  refusal(() => goText(patch))(conversionError(messageShapeOf(kind.schema), after) ?? why);

const isMap = (patch: Json): patch is JsonObject | null => typeof patch === "object" && !Array.isArray(patch);
const notMap = (patch: Json): string => cannotUnmarshal(patch, "value of type map[string]interface {}");

function applied(kind: Kind, type: string, before: JsonObject, patch: Json): Json {
  if (type === patchTypes.json) return jsonPatch(before, patch);
  if (type === patchTypes.strategic) {
    if (!isMap(patch)) throw badRequest(notMap(patch));
    return strategicMerge(messageShapeOf(kind.schema), before, patch ?? {});
  }
  // ErrBadJSONPatch of upstream's library; a list is taken, and is no object of any kind afterwards.
  if (patch === null || typeof patch !== "object") throw badRequest("Invalid JSON Patch");
  return mergePatch(before, patch);
}

/** PATCH of an object, or of its status or another part of it. */
export async function patch(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = patchOptions(request);
  const apply = readPatch(await request.body(), request.headers["content-type"], options.fieldValidation);
  call.dryRun = options.dryRun;
  const written = await updateObject(call, {
    patches: true,
    next(current) {
      const { object, warnings } = apply(kindOf(call), current);
      replaceWarnings(call, warnings);
      return object;
    },
  });
  return objectAnswer(call, request, 200, written);
}
