import type { Kind, KubernetesObject } from "#api/meta";
import { warn } from "#resources";
import { readObject } from "#wire";
import type { ApiRequest } from "./request.ts";
import type { RequestScope } from "./server.ts";

/** Reads the object in a request's body, of the kind that the path accepts; unknown fields are handled by `fieldValidation`. */
export async function readSent(call: RequestScope, request: ApiRequest, kind: Kind): Promise<KubernetesObject> {
  const body = await request.body();
  const received = await readObject(kind, body, request.headers["content-type"], call.options.fieldValidation);
  warn(call, received.warnings);
  return received.object as unknown as KubernetesObject;
}
