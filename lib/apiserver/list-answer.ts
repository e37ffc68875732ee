import { type KubernetesObject, withNulls } from "#api/meta";
import { columnDefinitions, type Format, partialMetadata, table, tableRow } from "#wire";
import { includeObject, listKind, printed, shapeOfAnswer } from "./answer.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import type { RequestScope } from "./server.ts";

/** Objects of one kind in the format that the client accepts. */
export function listAnswer(
  { resources, resource: { kind } }: RequestScope,
  request: ApiRequest,
  format: Format,
  metadata: object,
  objects: readonly KubernetesObject[],
): ApiResponse {
  const version = format.version ?? "v1";
  const shape = shapeOfAnswer(kind, format, true);
  if (format.as === "Table") {
    const [include, now] = [includeObject(request), resources.clock.now()];
    const rows = objects.map((object) =>
      tableRow(kind, object, include, now, version, resources.faults.ofColumn(kind, object)),
    );
    return printed(200, format, table(rows, metadata, version, columnDefinitions(kind)), shape);
  }
  if (format.as === "PartialObjectMetadata") {
    const items = objects.map((object) => partialMetadata(object, version));
    const type = { kind: "PartialObjectMetadataList", apiVersion: `meta.k8s.io/${version}` };
    return printed(200, format, { ...type, metadata, items }, shape);
  }
  const items = objects.map((object) => withNulls(kind.shape, object));
  return printed(200, format, { ...listKind(kind), metadata, items }, shape);
}
