import { applySpecDefaults, dropDisabled } from "../../core/pod/index.ts";
import {
  ageColumn,
  checkNonNegative,
  defineKind,
  type FieldError,
  labelSelectorText,
  nameColumn,
  validateImmutable,
} from "../../meta/index.ts";
import { checkCounts, templateWarnings, validateSelector, validateTemplate } from "../pod-template.ts";
import { templateColumns } from "../template-columns.ts";
import { ReplicaSet } from "./schema.ts";

export const replicaSets = defineKind<ReplicaSet>({
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  plural: "replicasets",
  singular: "replicaset",
  shortNames: ["rs"],
  categories: ["all"],
  scope: "Namespaced",
  schema: ReplicaSet,
  defaults({ spec, status }) {
    if (status) status.replicas ??= 0;
    if (spec?.template?.spec) applySpecDefaults(spec.template.spec);
  },
  generation: ({ spec }) => spec,
  prepareForCreate(object) {
    object.status = { replicas: 0 };
    if (object.spec?.template?.spec) dropDisabled(object.spec.template.spec);
  },
  prepareForUpdate(next, previous) {
    if (next.spec?.template?.spec) dropDisabled(next.spec.template.spec, previous.spec?.template?.spec);
  },
  warnings: templateWarnings,
  validate({ spec }) {
    const errors = checkNonNegative("spec.replicas", spec?.replicas);
    errors.push(...checkNonNegative("spec.minReadySeconds", spec?.minReadySeconds));
    return [...errors, ...validateSelector(spec?.selector), ...validateTemplate(spec?.template, spec?.selector)];
  },
  validateUpdate: (next, previous) => validateImmutable(next.spec?.selector, previous.spec?.selector, "spec.selector"),
  subresources: {
    status: { type: "status", validate: validateStatus },
    scale: {
      type: "scale",
      replicas: ({ spec }) => spec?.replicas ?? 0,
      setReplicas(object, replicas) {
        if (object.spec) object.spec.replicas = replicas;
      },
      statusReplicas: ({ status }) => status?.replicas ?? 0,
      selector: ({ spec }) => spec?.selector && labelSelectorText(spec.selector),
    },
  },
  columns: [
    nameColumn,
    { name: "Desired", type: "integer", doc: "Desired number of pods.", value: ({ spec }) => spec?.replicas ?? 0 },
    { name: "Current", type: "integer", doc: "Pods that exist.", value: ({ status }) => status?.replicas ?? 0 },
    { name: "Ready", type: "integer", doc: "Pods that are ready.", value: ({ status }) => status?.readyReplicas ?? 0 },
    ageColumn,
    ...templateColumns,
  ],
});

const counts = [
  "replicas",
  "fullyLabeledReplicas",
  "readyReplicas",
  "availableReplicas",
  "observedGeneration",
  "terminatingReplicas",
] as const;

function validateStatus({ status }: ReplicaSet): FieldError[] {
  const errors = counts.flatMap((field) => checkNonNegative(`status.${field}`, status?.[field]));
  const above = "cannot be greater than status.replicas";
  return [
    ...errors,
    ...checkCounts(status ?? {}, [
      ["fullyLabeledReplicas", "replicas", above],
      ["readyReplicas", "replicas", above],
      ["availableReplicas", "replicas", above],
      ["availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"],
    ]),
  ];
}
