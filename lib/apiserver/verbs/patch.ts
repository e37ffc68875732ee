import { type Kind, type KubernetesObject, messageShapeOf } from "#api/meta";
import { type Json, type JsonObject, unsupported, unsupportedMediaType } from "#base";
import { jsonPatch, mergePatch, patchTypes, strategicMerge } from "#patch";
import {
  checkType,
  duplicateKeys,
  type FieldValidation,
  mediaTypeOf,
  parseJsonBody,
  receive,
  textOf,
  typeMeta,
} from "#wire";
import { objectAnswer } from "../answer.ts";
import { typed } from "../objects.ts";
import { writeOptions } from "../options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf } from "../server.ts";
import { updateObject } from "../update-object.ts";

/** A patch that has been read: makes the wanted object of the stored one. */
export type Patch = (kind: Kind, current: KubernetesObject) => { object: KubernetesObject; warnings: string[] };

/** Chooses the patch by the media type. Throws ApiError 415 for another one, 501 for server-side apply. */
export function readPatch(body: Uint8Array, contentType: string | undefined, validation: FieldValidation): Patch {
  const type = mediaTypeOf(contentType);
  if (type === patchTypes.apply) throw unsupported("server-side apply (application/apply-patch+yaml)");
  const known: string[] = [patchTypes.json, patchTypes.merge, patchTypes.strategic];
  if (!known.includes(type)) throw unsupportedMediaType(known);
  const text = textOf(body);
  const patch = parseJsonBody(text);
  const duplicates = validation === "Ignore" ? [] : duplicateKeys(text);
  return (kind, current) => {
    const before = typed(kind, current) as unknown as JsonObject;
    const after = applied(kind, type, before, patch);
    checkType(kind, typeMeta(after));
    const { object, warnings } = receive(kind, { json: after, apiVersion: "", kind: "", duplicates }, validation);
    return { object: object as unknown as KubernetesObject, warnings };
  };
}

function applied(kind: Kind, type: string, before: JsonObject, patch: Json): Json {
  if (type === patchTypes.json) return jsonPatch(before, patch);
  if (type === patchTypes.strategic) return strategicMerge(messageShapeOf(kind.schema), before, patch);
  return mergePatch(before, patch);
}

/** PATCH of an object, or of its status or another part of it. */
export async function patch(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const options = writeOptions(request.query, "PatchOptions");
  const apply = readPatch(await request.body(), request.headers["content-type"], options.fieldValidation);
  call.dryRun = options.dryRun;
  const written = await updateObject(call, {
    next(current) {
      const { object, warnings } = apply(kindOf(call), current);
      call.warnings = warnings;
      return object;
    },
  });
  return objectAnswer(call, request, 200, written);
}
