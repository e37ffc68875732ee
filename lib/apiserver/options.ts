import { invalid, type StatusCause } from "#base";
import type { FieldValidation } from "#wire";

export interface WriteOptions {
  dryRun: boolean;
  fieldValidation: FieldValidation;
  fieldManager: string;
}

const validations = ["Ignore", "Warn", "Strict"];

/** Reads the query of a write: dryRun, fieldValidation, fieldManager. Throws ApiError 422 naming what is wrong. */
export function writeOptions(
  query: URLSearchParams,
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions",
): WriteOptions {
  const causes: StatusCause[] = [];
  const unsupported = (field: string, value: string, supported: readonly string[]) =>
    causes.push({
      reason: "FieldValueNotSupported",
      field,
      message: `Unsupported value: "${value}": supported values: ${supported.map((item) => `"${item}"`).join(", ")}`,
    });
  const dryRun = query.getAll("dryRun").filter((value) => value !== "");
  for (const value of dryRun) if (value !== "All") unsupported("dryRun", value, ["All"]);
  const fieldValidation = query.get("fieldValidation") || "Warn";
  if (!validations.includes(fieldValidation)) unsupported("fieldValidation", fieldValidation, ["", ...validations]);
  const fieldManager = query.get("fieldManager") ?? "";
  if (fieldManager.length > 128) {
    causes.push({
      reason: "FieldValueTooLong",
      field: "fieldManager",
      message: "Too long: may not be more than 128 bytes",
    });
  } else if (!/^\P{C}*$/u.test(fieldManager)) {
    const message = `Invalid value: ${JSON.stringify(fieldManager)}: should only contain printable characters`;
    causes.push({ reason: "FieldValueInvalid", field: "fieldManager", message });
  }
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", causes);
  return { dryRun: dryRun.length > 0, fieldValidation: fieldValidation as FieldValidation, fieldManager };
}
