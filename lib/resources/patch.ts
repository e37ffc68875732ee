import { invalidValue, type Kind, type KubernetesObject } from "#api/meta";
import { type ApiError, badRequest, invalid, type Json, type JsonObject, stringifyJson } from "#base";
import { cannotUnmarshal, conversionError, goText, jsonPatch, mergePatch, patchTypes, strategicMerge } from "#patch";
import { checkType, type FieldValidation, type FractionalNumber, receive, typeMeta } from "#wire";
import { typed, worded } from "./objects.ts";
import { nameless } from "./update.ts";

/** A patch as it was sent. */
export interface ReceivedPatch {
  /** One of `patchTypes`, without server-side apply. */
  type: string;
  patch: Json;
  /** What a strict decoder finds wrong with the patch itself. */
  strict: string[];
  /** Numbers of the patch that are no integers, by their place in the object. */
  fractions: Iterable<FractionalNumber>;
}

/** Makes the new object of the stored one. */
export type Patch = (kind: Kind, current: KubernetesObject) => { object: KubernetesObject; warnings: string[] };

/**
 * The patch as a function of the stored object, for every patch of the server. The function throws ApiError 400, 409 or
 * 422 in upstream's words where the patch does not apply or its result is no object of the kind.
 */
export function patcher({ type, patch, strict, fractions }: ReceivedPatch, validation: FieldValidation): Patch {
  const isStrategic = type === patchTypes.strategic;
  return (kind, current) => {
    // Upstream's strategic merge works on the object, the other patches on its JSON.
    const before = (isStrategic ? typed : worded)(kind, current) as unknown as JsonObject;
    const after = applied(kind, type, before, patch);
    const refuse = isStrategic ? unconverted(kind, patch, after) : refusal(() => stringifyJson(after));
    // Upstream's strategic merge keeps the object's own type, whatever type the patch has.
    if (!isStrategic) {
      const sent = typeMeta(after, refuse);
      // Upstream reads an object that lacks its version as one without any members.
      if (sent.apiVersion === "" && isMap(after)) throw nameless(current.metadata.name ?? "");
      checkType(kind, sent, refuse);
    }
    const { object, warnings } = receive(kind, { json: after, strict, fractions }, validation, refuse);
    return { object: object as unknown as KubernetesObject, warnings };
  };
}

/** The error for a patch whose result is no object of the kind: a cause without a name, as in upstream. */
const refusal =
  (shown: () => string) =>
  (why: string): ApiError =>
    invalid({ group: "", kind: "" }, "", [invalidValue("patch", shown(), why)]);

/** The same for a strategic merge, whose result upstream's converter reads. */
const unconverted = (kind: Kind, patch: Json, after: Json) => (why: string) =>
  refusal(() => goText(patch))(conversionError(kind.shape, after) ?? why);

/** Null is an empty map, as Go reads it. */
export const isMap = (patch: Json): patch is JsonObject | null => typeof patch === "object" && !Array.isArray(patch);

/** The words of Go's decoder for a value that is no map. */
export const notMap = (patch: Json): string => cannotUnmarshal(patch, "value of type map[string]interface {}");

function applied(kind: Kind, type: string, before: JsonObject, patch: Json): Json {
  if (type === patchTypes.json) return jsonPatch(before, patch);
  if (type === patchTypes.strategic) {
    if (!isMap(patch)) throw badRequest(notMap(patch));
    return strategicMerge(kind.shape, before, patch ?? {});
  }
  // ErrBadJSONPatch of upstream's library; a list is accepted, and is no object of any kind afterwards.
  if (patch === null || typeof patch !== "object") throw badRequest("Invalid JSON Patch");
  return mergePatch(before, patch);
}
