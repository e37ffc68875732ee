import { badRequest, notFound } from "#base";
import { keyOf, kindOf, named, waitForRevision } from "#resources";
import { objectAnswer } from "../answer.ts";
import { revisionOf } from "../list-options.ts";
import { booleanOption } from "../query.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";
import { getComputed } from "./computed.ts";

function checkExport({ query }: ApiRequest): void {
  if (!booleanOption(query, "export")) return;
  throw badRequest("the export parameter, deprecated since v1.14, is no longer supported");
}

/** GET of one object; a resourceVersion is the oldest revision that is acceptable. */
export async function get(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { resources, resource } = call;
  checkExport(request);
  if (resource.kind.compute) return getComputed(call, request);
  const revision = revisionOf(request.query.get("resourceVersion") ?? "");
  if (revision > 0) await waitForRevision(resources, { type: resource.type, revision, signal: request.signal });
  const entry = await resources.read(resource.type, keyOf(call.namespace, call.name));
  if (!entry) throw notFound(named(kindOf(call)), call.name);
  return objectAnswer(call, request, 200, { entry });
}
