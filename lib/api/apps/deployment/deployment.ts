import { applySpecDefaults, dropDisabled } from "../../core/pod/index.ts";
import {
  ageColumn,
  checkNonNegative,
  defineKind,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  labelSelectorText,
  nameColumn,
  notSupported,
  percentErrors,
  validateImmutable,
} from "../../meta/index.ts";
import { checkCounts, templateWarnings, validateSelector, validateTemplate } from "../pod-template.ts";
import { templateColumns } from "../template-columns.ts";
import { Deployment, type DeploymentSpec, type DeploymentStrategy } from "./schema.ts";

export const deployments = defineKind<Deployment>({
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  scope: "Namespaced",
  schema: Deployment,
  defaults: applyDefaults,
  // Annotations count too: one of them holds the rollout's reason.
  generation: ({ spec, metadata }) => [spec, metadata.annotations],
  prepareForCreate(object) {
    object.status = {};
    if (object.spec?.template?.spec) dropDisabled(object.spec.template.spec);
  },
  prepareForUpdate(next, previous) {
    if (next.spec?.template?.spec) dropDisabled(next.spec.template.spec, previous.spec?.template?.spec);
  },
  warnings: templateWarnings,
  validate: ({ spec }) => validateSpec(spec ?? ({} as DeploymentSpec)),
  validateUpdate: (next, previous) => validateImmutable(next.spec?.selector, previous.spec?.selector, "spec.selector"),
  subresources: {
    status: {
      type: "status",
      prepare(next, previous) {
        if (previous.metadata.labels) next.metadata.labels = previous.metadata.labels;
        else delete next.metadata.labels;
      },
      validate: validateStatus,
    },
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
    {
      name: "Ready",
      type: "string",
      doc: "Ready pods of the desired number.",
      value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    },
    {
      name: "Up-to-date",
      type: "string",
      doc: "Pods of the current template.",
      value: ({ status }) => status?.updatedReplicas ?? 0,
    },
    {
      name: "Available",
      type: "string",
      doc: "Pods that are available.",
      value: ({ status }) => status?.availableReplicas ?? 0,
    },
    ageColumn,
    ...templateColumns,
  ],
});

function applyDefaults(object: Deployment): void {
  object.spec ??= {} as DeploymentSpec;
  const { spec } = object;
  spec.template ??= {};
  spec.template.spec ??= { containers: [] };
  spec.strategy ??= {};
  const { strategy } = spec;
  strategy.type ||= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.maxUnavailable ??= "25%";
    strategy.rollingUpdate.maxSurge ??= "25%";
  }
  applySpecDefaults(spec.template.spec);
}

function validateSpec(spec: DeploymentSpec): FieldError[] {
  const { minReadySeconds = 0, progressDeadlineSeconds: deadline } = spec;
  const errors = checkNonNegative("spec.replicas", spec.replicas);
  errors.push(...validateSelector(spec.selector), ...validateTemplate(spec.template, spec.selector));
  errors.push(...validateStrategy(spec.strategy ?? {}));
  for (const field of ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] as const) {
    errors.push(...checkNonNegative(`spec.${field}`, spec[field]));
  }
  if (deadline === undefined || deadline > minReadySeconds) return errors;
  return [...errors, invalidValue("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")];
}

function validateStrategy(strategy: DeploymentStrategy): FieldError[] {
  const path = "spec.strategy";
  const { type, rollingUpdate } = strategy;
  if (type === "Recreate") {
    if (!rollingUpdate) return [];
    const why = "may not be specified when strategy `type` is 'Recreate'";
    return [forbiddenValue(`${path}.rollingUpdate`, why)];
  }
  if (type !== "RollingUpdate") {
    // Upstream shows its internal form of the strategy.
    const shown = { Type: type ?? "", RollingUpdate: null };
    return [notSupported(path, shown, ["Recreate", "RollingUpdate"])];
  }
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate ?? {};
  const field = `${path}.rollingUpdate.maxUnavailable`;
  const errors = [...checkAmount(field, maxUnavailable), ...checkAmount(`${path}.rollingUpdate.maxSurge`, maxSurge)];
  if (amountOf(maxUnavailable) === 0 && amountOf(maxSurge) === 0) {
    errors.push(invalidValue(field, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  if (typeof maxUnavailable === "string" && (percentOf(maxUnavailable) ?? 0) > 100) {
    errors.push(invalidValue(field, maxUnavailable, "must not be greater than 100%"));
  }
  return errors;
}

const checkAmount = (field: string, amount: number | string): FieldError[] =>
  typeof amount === "string" ? invalidAll(field, amount, percentErrors(amount)) : checkNonNegative(field, amount);
const percentOf = (text: string): number | undefined => (/^\d+%$/.test(text) ? Number(text.slice(0, -1)) : undefined);
/** The number or the percentage; a text that is neither counts as nothing, as in Go. */
const amountOf = (amount: number | string): number =>
  typeof amount === "number" ? amount : (percentOf(amount) ?? (/^[+-]?\d+$/.test(amount) ? Number(amount) : 0));

const counts = [
  "observedGeneration",
  "replicas",
  "updatedReplicas",
  "readyReplicas",
  "availableReplicas",
  "unavailableReplicas",
  "terminatingReplicas",
  "collisionCount",
] as const;

function validateStatus({ status = {} }: Deployment, { status: before = {} }: Deployment): FieldError[] {
  const errors = counts.flatMap((field) => checkNonNegative(`status.${field}`, status[field]));
  const above = "cannot be greater than status.replicas";
  errors.push(
    ...checkCounts(status, [
      ["updatedReplicas", "replicas", above],
      ["readyReplicas", "replicas", above],
      ["availableReplicas", "replicas", above],
      ["availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"],
    ]),
  );
  if (before.collisionCount !== undefined && (status.collisionCount ?? 0) < before.collisionCount) {
    errors.push(invalidValue("status.collisionCount", status.collisionCount ?? 0, "cannot be decremented"));
  }
  return errors;
}
