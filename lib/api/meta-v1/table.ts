import type * as z from "zod";
import { int32, ListMeta, list, message, optional, raw, required, string } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

// Tables travel as JSON alone: their fields have no protobuf numbers.
export const TableColumnDefinition = message(`${meta}.TableColumnDefinition`, () => ({
  name: required(0, string, "Header of the column."),
  type: required(0, string, "Type of the cells."),
  format: required(0, string, "Format of the cells; `name` marks the column that identifies the object."),
  description: required(0, string, "What the column shows."),
  priority: required(0, int32, "0 is always shown, above 0 only where there is room."),
}));
export type TableColumnDefinition = z.infer<typeof TableColumnDefinition>;

export const TableRowCondition = message(`${meta}.TableRowCondition`, () => ({
  type: required(0, string, "What the condition is about: Completed."),
  status: required(0, string, "True, False or Unknown."),
  reason: optional(0, string, "Machine-readable reason, in CamelCase."),
  message: optional(0, string, "Human-readable message."),
}));
export type TableRowCondition = z.infer<typeof TableRowCondition>;

export const TableRow = message(`${meta}.TableRow`, () => ({
  cells: required(0, list(raw), "One cell for each column."),
  conditions: optional(0, list(TableRowCondition), "State of the row."),
  object: optional(0, raw, "The object, its metadata, or nothing."),
}));
export type TableRow = z.infer<typeof TableRow>;

/** A list as a table. */
export const Table = message(`${meta}.Table`, () => ({
  metadata: optional(0, ListMeta, "Metadata of the list."),
  columnDefinitions: required(0, list(TableColumnDefinition), "The columns."),
  rows: required(0, list(TableRow), "One row for each object."),
}));
export type Table = z.infer<typeof Table>;
