import type * as z from "zod";
import { deepEqual } from "#base";
import {
  ageColumn,
  defineKind,
  duplicateValue,
  type FieldError,
  int32,
  invalidValue,
  labelKeyErrors,
  list,
  message,
  metadataField,
  nameColumn,
  optional,
  required,
  requiredValue,
  string,
  time,
} from "../meta/index.ts";
import { driverNameErrors } from "./driver-name.ts";

export const VolumeNodeResources = message("io.k8s.api.storage.v1.VolumeNodeResources", () => ({
  count: optional(1, int32, "How many volumes of the driver the node can use; absent: any number.", {
    isPointer: true,
  }),
}));
export type VolumeNodeResources = z.infer<typeof VolumeNodeResources>;

export const CSINodeDriver = message("io.k8s.api.storage.v1.CSINodeDriver", () => ({
  name: required(1, string, "Name of the driver."),
  nodeID: required(2, string, "The node's name in the storage system."),
  topologyKeys: required(3, list(string), "The node's labels that the driver provides.", { list: "atomic" }),
  allocatable: optional(4, VolumeNodeResources, "What the node can use of the driver."),
}));
export type CSINodeDriver = z.infer<typeof CSINodeDriver>;

export const CSINodeSpec = message("io.k8s.api.storage.v1.CSINodeSpec", () => ({
  drivers: required(1, list(CSINodeDriver), "The drivers that are registered on the node.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
}));
export type CSINodeSpec = z.infer<typeof CSINodeSpec>;

export const StorageHealthCondition = message("io.k8s.api.storage.v1.StorageHealthCondition", () => ({
  status: required(1, string, "StorageUnreachable or StorageDegraded."),
  reason: required(2, string, "The reason in one word."),
  message: optional(3, string, "The reason in a sentence."),
  accessMode: optional(4, string, "The access mode that is affected; absent: all.", { isPointer: true }),
  volumeMode: optional(5, string, "The volume mode that is affected; absent: both.", { isPointer: true }),
  lastTransitionTime: optional(6, time, "When the condition appeared."),
}));
export type StorageHealthCondition = z.infer<typeof StorageHealthCondition>;

export const StorageHealth = message("io.k8s.api.storage.v1.StorageHealth", () => ({
  name: required(1, string, "Name of the driver."),
  healthConditions: optional(2, list(StorageHealthCondition), "What is wrong with the storage.", { list: "atomic" }),
}));
export type StorageHealth = z.infer<typeof StorageHealth>;

export const CSINodeStatus = message("io.k8s.api.storage.v1.CSINodeStatus", () => ({
  storageHealth: optional(1, list(StorageHealth), "The health of each driver's storage.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    gated: true,
  }),
}));
export type CSINodeStatus = z.infer<typeof CSINodeStatus>;

export const CSINode = message("io.k8s.api.storage.v1.CSINode", () => ({
  metadata: metadataField(),
  spec: required(2, CSINodeSpec, "The node's drivers."),
  status: optional(3, CSINodeStatus, "The state of the node's storage.", { printed: true }),
}));
export type CSINode = z.infer<typeof CSINode>;

/** The CSI drivers of a node, by the node's name. */
export const csiNodes = defineKind<CSINode>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  plural: "csinodes",
  singular: "csinode",
  scope: "Cluster",
  schema: CSINode,
  conditionalUpdate: true,
  validate: ({ spec }) => validateDrivers(spec?.drivers ?? []),
  validateUpdate: (next, previous) => changedDrivers(next.spec?.drivers ?? [], previous?.spec?.drivers ?? []),
  subresources: { status: { type: "status" } },
  columns: [
    nameColumn,
    {
      name: "Drivers",
      type: "integer",
      doc: "The number of the node's drivers.",
      value: ({ spec }) => spec?.drivers?.length ?? 0,
    },
    ageColumn,
  ],
});

const longestNodeId = 256;

/** Upstream's validateCSINodeDrivers. */
function validateDrivers(drivers: readonly CSINodeDriver[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, driver] of drivers.entries()) {
    const path = `spec.drivers[${index}]`;
    const { name = "", nodeID = "", allocatable } = driver;
    errors.push(...driverNameErrors(`${path}.name`, name));
    if (nodeID === "") errors.push(requiredValue(`${path}.nodeID`));
    if (Buffer.byteLength(nodeID) > longestNodeId) {
      errors.push(invalidValue(`${path}.nodeID`, nodeID, `must be ${longestNodeId} characters or less`));
    }
    const { count } = allocatable ?? {};
    if (count !== undefined && count < 0) {
      errors.push(invalidValue(`${path}.allocatable.count`, count, "must be greater than or equal to 0"));
    }
    if (names.has(name)) errors.push(duplicateValue(`${path}.name`, name));
    names.add(name);
    errors.push(...keyErrors(path, driver.topologyKeys ?? []));
  }
  return errors;
}

function keyErrors(path: string, keys: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const key of keys) {
    if (key === "") errors.push(requiredValue(path));
    if (seen.has(key)) errors.push(duplicateValue(path, key));
    seen.add(key);
    for (const why of labelKeyErrors(key)) errors.push(invalidValue(path, key, why));
  }
  return errors;
}

/** A driver's entry changes only in its allocatable count; it is removed before it is added with other values. */
function changedDrivers(next: readonly CSINodeDriver[], previous: readonly CSINodeDriver[]): FieldError[] {
  const errors: FieldError[] = [];
  for (const before of previous) {
    for (const after of next) {
      if (after.name !== before.name) continue;
      const [left, right] = [before, after].map(({ name, nodeID, topologyKeys = [] }) => ({
        Name: name,
        NodeID: nodeID,
        TopologyKeys: topologyKeys,
        Allocatable: null,
      }));
      if (!deepEqual(left, right)) errors.push(invalidValue("spec.drivers", right, "field is immutable"));
    }
  }
  return errors;
}
