import { badRequest, notFound } from "#base";
import { objectAnswer } from "../answer.ts";
import { keyOf } from "../objects.ts";
import { booleanOption } from "../query.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Call, kindOf, named, readEntry } from "../server.ts";
import { revisionOf, waitForRevision } from "./list.ts";

function checkExport({ query }: ApiRequest): void {
  if (!booleanOption(query, "export")) return;
  throw badRequest("the export parameter, deprecated since v1.14, is no longer supported");
}

/** GET of one object; a resourceVersion means not older than that. */
export async function get(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const { server, resource } = call;
  checkExport(request);
  const revision = revisionOf(request.query.get("resourceVersion") ?? "");
  if (revision > 0) await waitForRevision(server, resource.type, revision, request.signal);
  const entry = await readEntry(server, resource.type, keyOf(call.namespace, call.name));
  if (!entry) throw notFound(named(kindOf(call)), call.name);
  return objectAnswer(call, request, 200, { entry });
}
