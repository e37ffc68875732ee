/** Rules for containers, init containers and ephemeral containers. */
import {
  checkOneOf,
  checkUnique,
  dnsLabelErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  notFoundValue,
  notSupported,
  portErrors,
  portNameErrors,
  requiredValue,
  requireText,
  tooMany,
} from "../../meta/index.ts";
import type { Container, ContainerPort, ContainerRestartRule } from "./container.ts";
import type { EphemeralContainer } from "./ephemeral-container.ts";
import type { ContainerResizePolicy } from "./resources.ts";
import type { PodSpec } from "./spec.ts";
import { isSidecar } from "./totals.ts";
import { validateEnv, validateEnvFrom } from "./validate-env.ts";
import { validateDevices, validateMounts } from "./validate-mounts.ts";
import { type ProbeName, validateLifecycle, validateProbe } from "./validate-probes.ts";
import { validateContainerResources } from "./validate-resources.ts";
import { validateSecurityContext } from "./validate-security.ts";
import type { Volume } from "./volume.ts";

/** What a container's rules look at beside the container. */
export interface ContainerContext {
  spec: PodSpec;
  /** The pod's sound volumes by name. */
  volumes: ReadonlyMap<string, Volume>;
  /** Names of the pod's resource claims. */
  claims: ReadonlySet<string>;
}

const graceOf = ({ spec }: ContainerContext): number | undefined => spec.terminationGracePeriodSeconds;
const probes: readonly ProbeName[] = ["livenessProbe", "readinessProbe", "startupProbe"];

function validateCommon(container: Container, context: ContainerContext, at: string): FieldError[] {
  const { name, image, ports = [], env = [], envFrom = [], volumeMounts = [], volumeDevices = [] } = container;
  const { spec, volumes, claims } = context;
  return [
    ...(name ? invalidAll(`${at}.name`, name, dnsLabelErrors(name)) : [requiredValue(`${at}.name`)]),
    ...requireText(`${at}.image`, image),
    ...checkOneOf(`${at}.terminationMessagePolicy`, container.terminationMessagePolicy, [
      "File",
      "FallbackToLogsOnError",
    ]),
    ...validatePorts(ports, `${at}.ports`),
    ...validateEnv(env, `${at}.env`),
    ...validateEnvFrom(envFrom, `${at}.envFrom`),
    ...validateMounts(container, volumes, `${at}.volumeMounts`),
    ...validateDevices(volumeDevices, volumeMounts, volumes, `${at}.volumeDevices`),
    ...checkOneOf(`${at}.imagePullPolicy`, container.imagePullPolicy, ["Always", "IfNotPresent", "Never"]),
    ...validateContainerResources(container.resources, claims, `${at}.resources`),
    ...validateResizePolicy(container.resizePolicy ?? [], spec.restartPolicy, `${at}.resizePolicy`),
    ...validateSecurityContext(container.securityContext, spec.hostUsers ?? true, `${at}.securityContext`),
  ];
}

function validatePorts(ports: readonly ContainerPort[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, { name, containerPort = 0, hostPort = 0, protocol }] of ports.entries()) {
    const at = `${path}[${index}]`;
    if (name) {
      const wrong = invalidAll(`${at}.name`, name, portNameErrors(name));
      errors.push(...(wrong.length > 0 ? wrong : checkUnique(`${at}.name`, name, names)));
    }
    if (containerPort === 0) errors.push(requiredValue(`${at}.containerPort`));
    else errors.push(...invalidAll(`${at}.containerPort`, containerPort, portErrors(containerPort)));
    if (hostPort !== 0) errors.push(...invalidAll(`${at}.hostPort`, hostPort, portErrors(hostPort)));
    errors.push(...checkOneOf(`${at}.protocol`, protocol, ["SCTP", "TCP", "UDP"]));
  }
  return errors;
}

function validateResizePolicy(
  policies: readonly ContainerResizePolicy[],
  podPolicy: string | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { resourceName = "", restartPolicy = "" }] of policies.entries()) {
    if (seen.has(resourceName)) errors.push(duplicateValue(`${path}[${index}]`, resourceName));
    seen.add(resourceName);
    for (const [value, supported] of [
      [resourceName, ["cpu", "memory"]],
      [restartPolicy, ["NotRequired", "RestartContainer"]],
    ] as const) {
      errors.push(...(value === "" ? [requiredValue(path)] : checkOneOf(path, value, supported)));
    }
    if (podPolicy === "Never" && restartPolicy !== "NotRequired") {
      errors.push(invalidValue(path, restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
    }
  }
  return errors;
}

function validateRestartPolicy(
  { restartPolicy, restartPolicyRules: rules = [] }: Container,
  at: string,
  isInit: boolean,
): FieldError[] {
  const errors = checkOneOf(`${at}.restartPolicy`, restartPolicy, ["Always", "Never", "OnFailure"]);
  if (restartPolicy === undefined) {
    if (rules.length === 0) return errors;
    errors.push(requiredValue(`${at}.restartPolicy`, "must specify restartPolicy when restart rules are used"));
    if (isInit) return errors;
  }
  if (rules.length > 20) errors.push(tooMany(`${at}.restartPolicyRules`, rules.length, 20));
  for (const [index, rule] of rules.entries()) {
    errors.push(...validateRestartRule(rule, `${at}.restartPolicyRules[${index}]`));
  }
  return errors;
}

function validateRestartRule({ action = "", exitCodes }: ContainerRestartRule, at: string): FieldError[] {
  const actions = ["Restart", "RestartAllContainers"];
  const errors = actions.includes(action) ? [] : [notSupported(`${at}.action`, action, actions)];
  if (!exitCodes) return [...errors, requiredValue(`${at}.exitCodes`, "must be specified")];
  const { operator = "", values = [] } = exitCodes;
  if (!["In", "NotIn"].includes(operator)) {
    errors.push(notSupported(`${at}.exitCodes.operator`, operator, ["In", "NotIn"]));
  }
  if (values.length > 255) errors.push(tooMany(`${at}.exitCodes.values`, values.length, 255));
  return errors;
}

/** No two containers may use the same port of the node. */
function validateHostPorts(containers: readonly Container[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const taken = new Set<string>();
  for (const [index, { ports = [] }] of containers.entries()) {
    for (const [place, { hostPort, hostIP = "", protocol = "" }] of ports.entries()) {
      if (!hostPort) continue;
      const field = `${path}[${index}].ports[${place}].hostPort`;
      errors.push(...checkUnique(field, `${protocol}/${hostIP}/${hostPort}`, taken));
    }
  }
  return errors;
}

export function validateContainers(context: ContainerContext, path: string): FieldError[] {
  const containers = context.spec.containers ?? [];
  if (containers.length === 0) return [requiredValue(path)];
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateCommon(container, context, at));
    errors.push(...checkUnique(`${at}.name`, container.name ?? "", names));
    errors.push(...validateLifecycle(container.lifecycle, graceOf(context), `${at}.lifecycle`));
    for (const name of probes) errors.push(...validateProbe(container[name], name, graceOf(context), at));
    errors.push(...validateRestartPolicy(container, at, false));
  }
  return [...errors, ...validateHostPorts(containers, path)];
}

export function validateInitContainers(context: ContainerContext, path: string): FieldError[] {
  const { containers = [], initContainers = [] } = context.spec;
  const errors: FieldError[] = [];
  const names = new Set(containers.map(({ name }) => name ?? ""));
  for (const [index, container] of initContainers.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateCommon(container, context, at), ...validateRestartPolicy(container, at, true));
    const { name = "" } = container;
    if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    else if (name) names.add(name);
    errors.push(...validateHostPorts([container], path));
    errors.push(...(isSidecar(container) ? validateSidecar : validateOneShot)(container, context, at));
  }
  return errors;
}

const validateSidecar = (container: Container, context: ContainerContext, at: string): FieldError[] => [
  ...validateLifecycle(container.lifecycle, graceOf(context), `${at}.lifecycle`),
  ...probes.flatMap((name) => validateProbe(container[name], name, graceOf(context), at)),
];

/** An init container that ends before the next one starts. */
function validateOneShot(container: Container, _context: ContainerContext, at: string): FieldError[] {
  const errors = (["lifecycle", ...probes] as const)
    .filter((name) => container[name])
    .map((name) => forbiddenValue(`${at}.${name}`, "may not be set for init containers without restartPolicy=Always"));
  for (const [index, { restartPolicy }] of (container.resizePolicy ?? []).entries()) {
    if (restartPolicy !== "RestartContainer") continue;
    const why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
    errors.push(invalidValue(`${at}.resizePolicy[${index}].restartPolicy`, restartPolicy, why));
  }
  return errors;
}

/** What an ephemeral container cannot have, in the order in which upstream looks at it. */
const notEphemeral = [
  "ports",
  "resources",
  "resizePolicy",
  "restartPolicy",
  "restartPolicyRules",
  ...(["livenessProbe", "readinessProbe", "startupProbe"] as const),
  "lifecycle",
] as const;

/** Resources are never quite absent: the defaults put an empty message there. */
const isSet = (name: string, value: unknown): boolean =>
  value !== undefined && !(name === "resources" && Object.keys(value as object).length === 0);

export function validateEphemeralContainers(context: ContainerContext, path: string): FieldError[] {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = context.spec;
  const others = new Set([...containers, ...initContainers].map(({ name }) => name));
  const names = new Set<string>(others);
  const errors: FieldError[] = [];
  for (const [index, container] of ephemeralContainers.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateCommon(container as Container, context, at), ...validateImage(container.image, at));
    errors.push(...checkUnique(`${at}.name`, container.name ?? "", names));
    const target = container.targetContainerName;
    if (target && !others.has(target)) errors.push(notFoundValue(`${at}.targetContainerName`, target));
    errors.push(...validateOnlyEphemeral(container, at));
  }
  return errors;
}

function validateOnlyEphemeral(container: EphemeralContainer, at: string): FieldError[] {
  const why = "cannot be set for an Ephemeral Container";
  const errors = notEphemeral
    .filter((name) => isSet(name, container[name]))
    .map((name) => forbiddenValue(`${at}.${name}`, why));
  for (const [index, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries()) {
    if (subPath) errors.push(forbiddenValue(`${at}.volumeMounts[${index}].subPath`, why));
    if (subPathExpr) errors.push(forbiddenValue(`${at}.volumeMounts[${index}].subPathExpr`, why));
  }
  return errors;
}

/** Templates may have blanks around an image's name, pods may not. */
export const validateImage = (image: string | undefined, at: string): FieldError[] =>
  image !== undefined && image.trim() !== image
    ? [invalidValue(`${at}.image`, image, "must not have leading or trailing whitespace")]
    : [];
