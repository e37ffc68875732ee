import type * as z from "zod";
import {
  ageColumn,
  boolean,
  bytes,
  configMapKeyErrors,
  defineKind,
  type FieldError,
  invalidValue,
  map,
  message,
  metadataField,
  nameColumn,
  optional,
  string,
  tooLong,
} from "../meta/index.ts";
import { base64Length, maximumData, validateFrozen } from "./data.ts";

export const ConfigMap = message("io.k8s.api.core.v1.ConfigMap", () => ({
  metadata: metadataField(),
  data: optional(2, map(string), "Text by key."),
  binaryData: optional(3, map(bytes), "Bytes by key, in base64; keys may not also be in `data`."),
  immutable: optional(4, boolean, "Whether the data is immutable; this cannot be undone.", { isPointer: true }),
}));
export type ConfigMap = z.infer<typeof ConfigMap>;

export const configMaps = defineKind<ConfigMap>({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  scope: "Namespaced",
  schema: ConfigMap,
  validate,
  validateUpdate(next, previous) {
    return previous.immutable ? validateFrozen(next, previous, ["data", "binaryData"]) : [];
  },
  columns: [
    nameColumn,
    {
      name: "Data",
      type: "string",
      doc: "Number of keys.",
      value: ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
    },
    ageColumn,
  ],
});

function validate({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const key of Object.keys(data).sort()) {
    const field = `data[${key}]`;
    for (const message of configMapKeyErrors(key)) errors.push(invalidValue(field, key, message));
    if (Object.hasOwn(binaryData, key)) errors.push(invalidValue(field, key, "duplicate of key present in binaryData"));
    size += new TextEncoder().encode(data[key]).length;
  }
  for (const key of Object.keys(binaryData).sort()) {
    for (const message of configMapKeyErrors(key)) errors.push(invalidValue(`binaryData[${key}]`, key, message));
    size += base64Length(binaryData[key]!);
  }
  if (size > maximumData) errors.push(tooLong("[]", maximumData));
  return errors;
}
