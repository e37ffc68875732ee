import { deepEqual } from "#base";
import { type FieldError, forbiddenValue, invalidValue, legacyCidrErrors, parseCidr } from "../../meta/index.ts";
import { validateResourceQuantity } from "../resource-names.ts";
import { validateTaints } from "../taints.ts";
import type { Node } from "./schema.ts";

/** What holds for every node, new or changed. */
export function validateNode(node: Node): FieldError[] {
  const errors = validateTaints(node.spec?.taints ?? [], "metadata.taints");
  errors.push(...validateStatus(node));
  const blocks = node.spec?.podCIDRs ?? [];
  for (const [index, block] of blocks.entries()) errors.push(...legacyCidrErrors(`spec.podCIDRs[${index}]`, block));
  const versions = new Set(blocks.map((block) => parseCidr(block)?.version));
  if (blocks.length > 1 && (versions.size !== 2 || versions.has(undefined) || blocks.length > 2)) {
    errors.push(invalidValue("spec.podCIDRs", blocks, "may specify no more than one CIDR for each IP family"));
  }
  return errors;
}

function validateStatus({ status = {} }: Node): FieldError[] {
  const errors: FieldError[] = [];
  for (const part of ["capacity", "allocatable"] as const) {
    for (const [name, value] of Object.entries(status[part] ?? {}).sort()) {
      errors.push(...validateResourceQuantity(name, value, `status.${part}.${name}`));
    }
  }
  const swap = status.nodeInfo?.swap?.capacity;
  if (swap !== undefined && swap <= 0) {
    errors.push(invalidValue("metadata.nodeSwapStatus.capacity", swap, "must be greater than zero"));
  }
  return [...errors, ...validateFeatures(status.declaredFeatures ?? [])];
}

const featureName = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/;
const featureForm =
  "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";

function validateFeatures(features: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, feature] of features.entries()) {
    const field = `status.declaredFeatures[${index}]`;
    if (!featureName.test(feature))
      errors.push(invalidValue(field, feature, `invalid feature name "${feature}": ${featureForm}`));
    const before = features[index - 1];
    if (before === undefined || before < feature) continue;
    if (before === feature) {
      errors.push({ reason: "FieldValueDuplicate", field, message: `Duplicate value: "${feature}"` });
    } else errors.push(invalidValue(field, feature, "list must be sorted alphabetically"));
  }
  return errors;
}

/** What may not change, for writes to the node and to its status alike. */
export function validateNodeUpdate(next: Node, previous: Node): FieldError[] {
  const errors = duplicateAddresses(next);
  const change = (field: string): FieldError =>
    forbiddenValue(
      `spec.${field}`,
      `node updates may not change ${field.replace("CIDRs", "CIDR")} except from "" to valid`,
    );
  const before = previous.spec?.podCIDRs ?? [];
  const after = next.spec?.podCIDRs ?? [];
  if (before.length > 0) {
    const changed = before.length === after.length ? before.filter((block, index) => block !== after[index]) : [""];
    errors.push(...changed.map(() => change("podCIDRs")));
  }
  if (previous.spec?.providerID && previous.spec.providerID !== next.spec?.providerID) {
    const how = next.spec?.providerID ? "modified" : "cleared";
    errors.push(invalidValue("spec.providerID", null, `field cannot be ${how} once set`));
  }
  if ((next.spec?.externalID ?? "") !== (previous.spec?.externalID ?? "")) {
    errors.push(forbiddenValue("spec.externalID", "may not be updated"));
  }
  return errors;
}

/** A write to the status is judged as a whole node, without the create rules. */
export const validateNodeStatus = (next: Node, previous: Node): FieldError[] => [
  ...validateStatus(next),
  ...validateNodeUpdate(next, previous),
];

function duplicateAddresses({ status }: Node): FieldError[] {
  const addresses = status?.addresses ?? [];
  const errors: FieldError[] = [];
  for (const [index, address] of addresses.entries()) {
    if (!addresses.slice(0, index).some((earlier) => deepEqual(earlier, address))) continue;
    const shown = JSON.stringify({ type: address.type, address: address.address });
    const field = `status.addresses[${index}]`;
    errors.push({ reason: "FieldValueDuplicate", field, message: `Duplicate value: ${shown}` });
  }
  return errors;
}
