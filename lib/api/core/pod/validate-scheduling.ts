/** Rules for where a pod may run: affinity, spreading, tolerations, gates. */
import {
  checkOneOf,
  checkPositive,
  dnsLabelErrors,
  dnsSubdomainErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  type LabelSelector,
  labelKeyErrors,
  labelValueErrors,
  notSupported,
  requiredValue,
  requireText,
  validateLabelSelector,
} from "../../meta/index.ts";
import { validateTaintEffect } from "../taints.ts";
import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Toleration } from "../topology.ts";
import type { Affinity, NodeAffinity, PodAffinityTerm, TopologySpreadConstraint } from "./affinity.ts";

const required = "requiredDuringSchedulingIgnoredDuringExecution";
const preferred = "preferredDuringSchedulingIgnoredDuringExecution";

export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  const errors = nodeAffinity ? validateNodeAffinity(nodeAffinity, `${path}.nodeAffinity`) : [];
  for (const [name, terms] of Object.entries({ podAffinity, podAntiAffinity })) {
    for (const [index, term] of (terms?.[required] ?? []).entries()) {
      errors.push(...validatePodTerm(term, `${path}.${name}.${required}[${index}]`));
    }
    for (const [index, { weight, podAffinityTerm }] of (terms?.[preferred] ?? []).entries()) {
      const at = `${path}.${name}.${preferred}[${index}]`;
      errors.push(...checkWeight(weight, at), ...validatePodTerm(podAffinityTerm ?? {}, `${at}.podAffinityTerm`));
    }
  }
  return errors;
}

function validateNodeAffinity(affinity: NodeAffinity, path: string): FieldError[] {
  const must = affinity[required];
  const errors = must ? validateNodeSelector(must, `${path}.${required}`) : [];
  for (const [index, { weight, preference }] of (affinity[preferred] ?? []).entries()) {
    const at = `${path}.${preferred}[${index}]`;
    // A mere preference may compare with values that no label can have.
    errors.push(...checkWeight(weight, at), ...validateNodeTerm(preference ?? {}, `${at}.preference`, false));
  }
  return errors;
}

const checkWeight = (weight: number | undefined, at: string): FieldError[] =>
  weight !== undefined && weight > 0 && weight <= 100
    ? []
    : [invalidValue(`${at}.weight`, weight ?? 0, "must be in the range 1-100")];

/** Terms over a node's labels and name. */
export function validateNodeSelector({ nodeSelectorTerms = [] }: NodeSelector, path: string): FieldError[] {
  const at = `${path}.nodeSelectorTerms`;
  if (nodeSelectorTerms.length === 0) return [requiredValue(at, "must have at least one node selector term")];
  return nodeSelectorTerms.flatMap((term, index) => validateNodeTerm(term, `${at}[${index}]`, true));
}

function validateNodeTerm(term: NodeSelectorTerm, path: string, checkValues: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, requirement] of (term.matchExpressions ?? []).entries()) {
    errors.push(...validateExpression(requirement, `${path}.matchExpressions[${index}]`, checkValues));
  }
  for (const [index, requirement] of (term.matchFields ?? []).entries()) {
    errors.push(...validateField(requirement, `${path}.matchFields[${index}]`));
  }
  return errors;
}

const notAnOperator = "not a valid selector operator";

function validateExpression(requirement: NodeSelectorRequirement, at: string, checkValues: boolean): FieldError[] {
  const { key = "", operator = "", values = [] } = requirement;
  const errors: FieldError[] = [];
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) {
      errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    if (values.length > 0) {
      errors.push(forbiddenValue(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    }
  } else if (operator === "Gt" || operator === "Lt") {
    if (values.length !== 1) {
      errors.push(requiredValue(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
    }
  } else errors.push(invalidValue(`${at}.operator`, operator, notAnOperator));
  errors.push(...invalidAll(`${at}.key`, key, labelKeyErrors(key)));
  if (!checkValues) return errors;
  return [
    ...errors,
    ...values.flatMap((value, index) => invalidAll(`${at}.values[${index}]`, value, labelValueErrors(value))),
  ];
}

function validateField({ key = "", operator = "", values = [] }: NodeSelectorRequirement, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if (operator !== "In" && operator !== "NotIn") errors.push(invalidValue(`${at}.operator`, operator, notAnOperator));
  else if (values.length !== 1) {
    const why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    errors.push(requiredValue(`${at}.values`, why));
  }
  if (key !== "metadata.name") return [...errors, invalidValue(`${at}.key`, key, "not a valid field selector key")];
  return [
    ...errors,
    ...values.flatMap((value, index) => invalidAll(`${at}.values[${index}]`, value, dnsSubdomainErrors(value))),
  ];
}

function validatePodTerm(term: Partial<PodAffinityTerm>, path: string): FieldError[] {
  const { labelSelector, namespaceSelector, namespaces = [], topologyKey = "" } = term;
  return [
    ...validateLabelSelector(labelSelector, `${path}.labelSelector`),
    ...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`),
    ...namespaces.flatMap((name) => invalidAll(`${path}.namespace`, name, dnsLabelErrors(name))),
    ...validateLabelKeys(term, path),
    ...requireText(`${path}.topologyKey`, topologyKey, "can not be empty"),
    ...invalidAll(`${path}.topologyKey`, topologyKey, labelKeyErrors(topologyKey)),
  ];
}

interface LabelKeys {
  labelSelector?: LabelSelector | undefined;
  matchLabelKeys?: string[] | undefined;
  mismatchLabelKeys?: string[] | undefined;
}

/** Keys whose values come from the pod's own labels: they need a selector, and may not occur in it. */
function validateLabelKeys(term: LabelKeys, path: string): FieldError[] {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term;
  const errors: FieldError[] = [];
  for (const [name, keys] of Object.entries({ matchLabelKeys, mismatchLabelKeys })) {
    if (keys.length > 0 && !labelSelector) {
      errors.push(forbiddenValue(`${path}.${name}`, "must not be specified when labelSelector is not set"));
    } else {
      for (const [index, key] of keys.entries()) {
        errors.push(...invalidAll(`${path}.${name}[${index}]`, key, labelKeyErrors(key)));
      }
    }
  }
  const selected = new Set(Object.keys(labelSelector?.matchLabels ?? {}));
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const index = matchLabelKeys.lastIndexOf(key);
    if (index >= 0 && selected.has(key)) {
      errors.push(invalidValue(`${path}[${index}]`, key, "exists in both matchLabelKeys and labelSelector"));
    }
    selected.add(key);
  }
  for (const [index, key] of matchLabelKeys.entries()) {
    if (!mismatchLabelKeys.includes(key)) continue;
    const why = "exists in both matchLabelKeys and mismatchLabelKeys";
    errors.push(invalidValue(`${path}.matchLabelKeys[${index}]`, key, why));
  }
  return errors;
}

const spreadActions = ["DoNotSchedule", "ScheduleAnyway"];

export function validateSpread(constraints: readonly TopologySpreadConstraint[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, constraint] of constraints.entries()) {
    const at = `${path}[${index}]`;
    const { maxSkew = 0, topologyKey = "", whenUnsatisfiable: action = "", minDomains } = constraint;
    errors.push(...checkPositive(`${at}.maxSkew`, maxSkew));
    errors.push(...requireText(`${at}.topologyKey`, topologyKey, "can not be empty"));
    if (!spreadActions.includes(action)) errors.push(notSupported(`${at}.whenUnsatisfiable`, action, spreadActions));
    const again = constraints
      .slice(index + 1)
      .some((other) => other.topologyKey === topologyKey && other.whenUnsatisfiable === action);
    if (again) {
      errors.push(duplicateValue(`${at}.{topologyKey, whenUnsatisfiable}`, `{${topologyKey}, ${action}}`));
    }
    if (minDomains !== undefined) {
      errors.push(...checkPositive(`${at}.minDomains`, minDomains));
      if (action !== "DoNotSchedule") {
        const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
        errors.push(invalidValue(`${at}.minDomains`, minDomains, why));
      }
    }
    for (const policy of ["nodeAffinityPolicy", "nodeTaintsPolicy"] as const) {
      errors.push(...checkOneOf(`${at}.${policy}`, constraint[policy], ["Honor", "Ignore"]));
    }
    errors.push(...validateLabelKeys(constraint, at));
    errors.push(...validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`));
  }
  return errors;
}

export function validateTolerations(tolerations: readonly Toleration[], path: string): FieldError[] {
  return tolerations.flatMap((toleration, index) => validateToleration(toleration, `${path}[${index}]`));
}

function validateToleration(toleration: Toleration, at: string): FieldError[] {
  const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
  const errors = key ? invalidAll(`${at}.key`, key, labelKeyErrors(key)) : [];
  if (!key && operator !== "Exists") {
    const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    errors.push(invalidValue(`${at}.operator`, operator, why));
  }
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    const why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
    errors.push(invalidValue(`${at}.effect`, effect, why));
  }
  if (operator === "" || operator === "Equal") {
    const wrong = labelValueErrors(value);
    if (wrong.length > 0) errors.push(invalidValue(`${at}.operator`, value, wrong.join(";")));
  } else if (operator === "Exists") {
    if (value) errors.push(invalidValue(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'"));
  } else {
    // Lt and Gt are known to upstream but off unless a feature gate is set; it names them all the same.
    const supported = operator === "Lt" || operator === "Gt" ? ["Equal", "Exists", "Lt", "Gt"] : ["Equal", "Exists"];
    errors.push(notSupported(`${at}.operator`, operator, supported));
  }
  return effect ? [...errors, ...validateTaintEffect(effect, `${at}.effect`, true)] : errors;
}
