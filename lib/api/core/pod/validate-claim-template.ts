/** Rules for the template of a volume claim that lives as long as its pod. */
import { deepEqual } from "#base";
import {
  checkOneOf,
  dnsLabelErrors,
  dnsSubdomainErrors,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  notSupported,
  parseQuantity,
  requiredValue,
  requireText,
  validateAnnotations,
  validateLabelSelector,
  validateLabels,
} from "../../meta/index.ts";
import { validateResourceQuantity } from "../resource-names.ts";
import type { PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate } from "./volume.ts";

const accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

export function validateClaimTemplate(
  { metadata = {}, spec }: PersistentVolumeClaimTemplate,
  path: string,
): FieldError[] {
  const errors = validateAnnotations(metadata.annotations, `${path}.metadata.annotations`);
  errors.push(...validateLabels(metadata.labels, `${path}.metadata.labels`));
  for (const [key, value] of Object.entries(metadata)) {
    if (key === "labels" || key === "annotations" || value === undefined) continue;
    errors.push(forbiddenValue(`${path}.metadata.${key}`, "cannot be set"));
  }
  return [...errors, ...validateClaimSpec(spec ?? {}, `${path}.spec`)];
}

/** The spec of a claim. */
export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: string): FieldError[] {
  const { accessModes: modes = [], selector, resources, storageClassName, volumeMode } = spec;
  const errors: FieldError[] = [];
  if (modes.length === 0) errors.push(requiredValue(`${path}.accessModes`, "at least 1 access mode is required"));
  errors.push(...validateLabelSelector(selector, `${path}.selector`));
  for (const mode of modes) {
    if (!accessModes.includes(mode)) errors.push(notSupported(`${path}.accessModes`, mode, accessModes));
  }
  const others = modes.some((mode) => mode !== "ReadWriteOncePod" && accessModes.includes(mode));
  if (modes.includes("ReadWriteOncePod") && others) {
    errors.push(forbiddenValue(`${path}.accessModes`, "may not use ReadWriteOncePod with other access modes"));
  }
  errors.push(...validateStorage(resources?.requests?.["storage"], `${path}.resources[storage]`));
  if (storageClassName) {
    errors.push(...invalidAll(`${path}.storageClassName`, storageClassName, dnsSubdomainErrors(storageClassName)));
  }
  errors.push(...checkOneOf(`${path}.volumeMode`, volumeMode, ["Block", "Filesystem"]));
  errors.push(...validateDataSources(spec, path));
  const { volumeAttributesClassName: attributes } = spec;
  if (attributes) {
    errors.push(...invalidAll(`${path}.volumeAttributesClassName`, attributes, dnsSubdomainErrors(attributes)));
  }
  return errors;
}

function validateStorage(storage: string | undefined, field: string): FieldError[] {
  if (storage === undefined) return [requiredValue(field)];
  if (parseQuantity(storage).mantissa <= 0n) return [invalidValue(field, storage, "must be greater than zero")];
  return validateResourceQuantity("storage", storage, field);
}

interface DataSource {
  apiGroup?: string | undefined;
  kind: string;
  name: string;
  namespace?: string | undefined;
}

function validateDataSources({ dataSource, dataSourceRef }: PersistentVolumeClaimSpec, path: string): FieldError[] {
  const errors = dataSource ? validateDataSource(dataSource, `${path}.dataSource`) : [];
  if (!dataSourceRef) return errors;
  errors.push(...validateDataSource(dataSourceRef, `${path}.dataSourceRef`));
  const { namespace } = dataSourceRef;
  const field = `${path}.dataSourceRef.namespace`;
  if (namespace) errors.push(...invalidAll(field, namespace, dnsLabelErrors(namespace)));
  if (!dataSource) return errors;
  const { apiGroup, kind, name } = dataSourceRef;
  // Upstream shows the field's path as a value, which prints as nothing.
  const shown = {};
  const same = deepEqual(dataSource, { ...(apiGroup === undefined ? {} : { apiGroup }), kind, name });
  if (namespace) {
    errors.push(invalidValue(path, shown, "may not be specified when dataSourceRef.namespace is specified"));
  } else if (!same) errors.push(invalidValue(path, shown, "must match dataSourceRef"));
  return errors;
}

function validateDataSource({ apiGroup = "", kind, name }: DataSource, path: string): FieldError[] {
  const errors = [...requireText(`${path}.name`, name), ...requireText(`${path}.kind`, kind)];
  if (!apiGroup && kind !== "PersistentVolumeClaim") {
    const why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    errors.push(invalidValue(path, kind ?? "", why));
  }
  return apiGroup ? [...errors, ...invalidAll(`${path}.apiGroup`, apiGroup, dnsSubdomainErrors(apiGroup))] : errors;
}
