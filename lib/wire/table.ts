import { apiVersionOf, type Column, type Kind, type KubernetesObject, withNulls } from "#api/meta";

/** What the rows carry beside their cells (`includeObject`). */
export type IncludeObject = "None" | "Metadata" | "Object";

interface ColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

const nameColumn: Column<KubernetesObject> = {
  name: "Name",
  type: "string",
  format: "name",
  doc: "Name of the object, unique in its namespace.",
  value: (object) => object.metadata.name ?? "",
};

/** The columns of a kind that has none of its own. */
const plainColumns: readonly Column<KubernetesObject>[] = [
  nameColumn,
  {
    name: "Created At",
    type: "date",
    doc: "When the object was made.",
    value: (object) => object.metadata.creationTimestamp ?? "",
  },
];

export const columnsOf = (kind: Kind): readonly Column<KubernetesObject>[] => kind.columns ?? plainColumns;

/** The column definitions of a table, as meta/v1 has them. */
export const columnDefinitions = (kind: Kind): ColumnDefinition[] =>
  columnsOf(kind).map(({ name, type, format, doc, priority }) => ({
    name,
    type,
    format: format ?? "",
    description: doc ?? "",
    priority: priority ?? 0,
  }));

/** The cell of a column that failed on the object, as upstream's printers show unknown values. */
const unknownCell = "<unknown>";

/**
 * One row: the cells, and the object as `include` has it. A column that throws affects its cell only; `failed` reports
 * it.
 */
export function tableRow(
  kind: Kind,
  object: KubernetesObject,
  include: IncludeObject,
  now: number,
  version: string,
  failed: (column: string, error: unknown) => void,
): object {
  const columns = columnsOf(kind);
  let cells: unknown[];
  let conditions: unknown[];
  try {
    cells = columns.map((column) => column.value(object, now));
    conditions = kind.rowConditions?.(object) ?? [];
  } catch {
    // Only now is it worth asking which of them failed.
    const contained = <T>(name: string, call: () => T, otherwise: T): T => {
      try {
        return call();
      } catch (error) {
        failed(name, error);
        return otherwise;
      }
    };
    cells = columns.map((column) => contained(column.name, () => column.value(object, now), unknownCell));
    conditions = contained("conditions", () => kind.rowConditions?.(object) ?? [], []);
  }
  const row = { cells, ...(conditions.length > 0 ? { conditions } : {}) };
  if (include === "None") return { ...row, object: null };
  if (include === "Object")
    return {
      ...row,
      object: { kind: kind.kind, apiVersion: apiVersionOf(kind), ...withNulls(kind.shape, object) },
    };
  return { ...row, object: partialMetadata(object, version) };
}

/** The metadata of an object alone (meta/v1 PartialObjectMetadata). */
export const partialMetadata = (object: KubernetesObject, version: string): object => ({
  kind: "PartialObjectMetadata",
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});

/** A table of rows; column definitions are left out after a watch's first event. */
export const table = (
  rows: object[],
  metadata: object,
  version: string,
  columns: readonly ColumnDefinition[] | undefined,
): object => ({
  kind: "Table",
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
  columnDefinitions: columns ?? null,
  rows,
});
