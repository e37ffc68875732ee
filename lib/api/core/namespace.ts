import type * as z from "zod";
import {
  ageColumn,
  defineKind,
  type FieldError,
  invalidValue,
  labelKeyErrors,
  list,
  message,
  metadataField,
  nameColumn,
  optional,
  required,
  string,
  time,
} from "../meta/index.ts";

export const NamespaceSpec = message("io.k8s.api.core.v1.NamespaceSpec", () => ({
  finalizers: optional(1, list(string), "Components that must finish before the empty namespace is deleted.", {
    list: "atomic",
  }),
}));
export type NamespaceSpec = z.infer<typeof NamespaceSpec>;

export const NamespaceCondition = message("io.k8s.api.core.v1.NamespaceCondition", () => ({
  type: required(1, string, "What the condition is about."),
  status: required(2, string, "True, False or Unknown."),
  lastTransitionTime: optional(4, time, "When the status last changed.", { printed: true }),
  reason: optional(5, string, "Machine-readable reason, in CamelCase."),
  message: optional(6, string, "Human-readable message."),
}));
export type NamespaceCondition = z.infer<typeof NamespaceCondition>;

export const NamespaceStatus = message("io.k8s.api.core.v1.NamespaceStatus", () => ({
  phase: optional(1, string, "Active or Terminating.", { default: "Active", values: ["Active", "Terminating"] }),
  conditions: optional(2, list(NamespaceCondition), "Conditions of the namespace's deletion.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
}));
export type NamespaceStatus = z.infer<typeof NamespaceStatus>;

export const Namespace = message("io.k8s.api.core.v1.Namespace", () => ({
  metadata: metadataField(),
  spec: optional(2, NamespaceSpec, "Desired state of the namespace.", { printed: true }),
  status: optional(3, NamespaceStatus, "Observed state of the namespace.", { printed: true }),
}));
export type Namespace = z.infer<typeof Namespace>;

const nameLabel = "kubernetes.io/metadata.name";

export const namespaces = defineKind<Namespace>({
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  scope: "Cluster",
  name: "dns-label",
  schema: Namespace,
  defaults(object) {
    object.status = { phase: "Active", ...object.status };
    object.spec ??= {};
    // A generated name does not exist yet; `prepareForCreate` runs after the name is generated.
    if (object.metadata.name) setNameLabel(object);
  },
  prepareForCreate(object) {
    object.status = { phase: "Active" };
    object.spec ??= {};
    object.spec.finalizers ??= [];
    if (!object.spec.finalizers.includes("kubernetes")) object.spec.finalizers.push("kubernetes");
    if (object.metadata.name) setNameLabel(object);
  },
  prepareForUpdate(next, previous) {
    next.spec = { ...next.spec };
    if (previous.spec?.finalizers) next.spec.finalizers = previous.spec.finalizers;
    else delete next.spec.finalizers;
    setNameLabel(next);
  },
  prepareForDelete(object) {
    object.status = { ...object.status, phase: "Terminating" };
    // Upstream's namespaces have no grace.
    delete object.metadata.deletionGracePeriodSeconds;
  },
  isRemovable: ({ spec }) => !spec?.finalizers?.length,
  deleteReturnsObject: true,
  validate: ({ spec }) =>
    (spec?.finalizers ?? []).flatMap((finalizer) => validateFinalizer(finalizer, "spec.finalizers")),
  verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  subresources: {
    status: {
      type: "status",
      validate({ status, metadata }) {
        const [phase, when] = metadata.deletionTimestamp ? ["Terminating", "is not empty"] : ["Active", "is empty"];
        if (status?.phase === phase) return [];
        const why = `may only be '${phase}' if \`deletionTimestamp\` ${when}`;
        return [invalidValue("status.Phase", status?.phase ?? "", why)];
      },
    },
    finalize: {
      type: "partialUpdate",
      prepare(next, previous) {
        if (previous.status) next.status = previous.status;
        else delete next.status;
      },
      validate: ({ spec }) =>
        (spec?.finalizers ?? []).flatMap((finalizer, index) =>
          validateFinalizer(finalizer, `spec.finalizers[${index}]`),
        ),
    },
  },
  fields: {
    "status.phase": ({ status }) => status?.phase ?? "",
    name: ({ metadata }) => metadata.name ?? "",
  },
  columns: [
    nameColumn,
    { name: "Status", type: "string", doc: "Active or Terminating.", value: ({ status }) => status?.phase ?? "" },
    ageColumn,
  ],
});

/** Selectors match a namespace by its name through this label, so it cannot be changed. */
function setNameLabel({ metadata }: Namespace): void {
  metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name ?? "" };
}

const standardFinalizers = ["kubernetes", "orphan", "foregroundDeletion"];

function validateFinalizer(finalizer: string, field: string): FieldError[] {
  const errors = labelKeyErrors(finalizer).map((message) => invalidValue(field, finalizer, message));
  if (finalizer.includes("/") || standardFinalizers.includes(finalizer)) return errors;
  const why = "name is neither a standard finalizer name nor is it fully qualified";
  return [...errors, invalidValue(field, finalizer, why)];
}
