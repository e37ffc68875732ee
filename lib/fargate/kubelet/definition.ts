import { createHash } from "node:crypto";
import { type Container, isSidecar, type Pod, type PodSpec } from "#api";
import { logPrefix } from "#fargate";
import { type Environment, environmentOf, expand, mentions, type Setting } from "./env.ts";
import { type HealthCheck, healthCheckOf } from "./health.ts";
import { isTokenVolume } from "./refusals.ts";
import { diskOf, type Share, type Size, sharesOf, sizeOf } from "./sizes.ts";

/** The deployment's settings for tasks. */
export interface TaskSettings {
  /** The cluster's name: families begin with `skiff-<cluster>-`. */
  cluster: string;
  region: string;
  logGroup: string;
  executionRole: string;
}

interface Variable {
  name: string;
  value: string;
}

export interface ContainerDefinition extends Share {
  name: string;
  image: string;
  essential: boolean;
  entryPoint?: string[] | undefined;
  command?: string[] | undefined;
  workingDirectory?: string | undefined;
  environment: Variable[];
  mountPoints: { sourceVolume: string; containerPath: string; readOnly: boolean }[];
  dependsOn?: { containerName: string; condition: "START" | "SUCCESS" | "HEALTHY" }[] | undefined;
  restartPolicy?: { enabled: true; restartAttemptPeriod: number; ignoredExitCodes?: number[] | undefined } | undefined;
  healthCheck?: HealthCheck | undefined;
  stopTimeout: number;
  user?: string | undefined;
  readonlyRootFilesystem?: boolean | undefined;
  linuxParameters?: { capabilities: { add?: string[] | undefined; drop?: string[] | undefined } } | undefined;
  interactive?: boolean | undefined;
  pseudoTerminal?: boolean | undefined;
  logConfiguration: { logDriver: "awslogs"; options: Record<string, string> };
}

/** A task definition in ECS's form; its family is derived from everything else in it. */
export interface Definition {
  family: string;
  requiresCompatibilities: ["FARGATE"];
  networkMode: "awsvpc";
  cpu: string;
  memory: string;
  executionRoleArn: string;
  runtimePlatform: { cpuArchitecture: "X86_64"; operatingSystemFamily: "LINUX" };
  pidMode?: "task" | undefined;
  ephemeralStorage?: { sizeInGiB: number } | undefined;
  volumes: { name: string }[];
  containerDefinitions: ContainerDefinition[];
}

export interface Override {
  name: string;
  command?: string[] | undefined;
  environment?: Variable[] | undefined;
}

export interface Plan {
  definition: Definition;
  /** The part that differs between pods of one template. */
  overrides: Override[];
}

/** The longest overrides that ECS accepts, in characters of JSON. */
const longestOverrides = 8192;
/** Seconds that a container must have run for ECS to restart it in place: ECS's minimum. */
const restartPeriod = 60;
const stopTimes = { least: 2, most: 120 };

/**
 * The task of a pod that is not refused. Pods of one template share a definition: their differences are in the
 * overrides, unless these are too long. Throws Missing when a ConfigMap does not exist.
 */
export function planOf(pod: Pod, maps: Setting["maps"], settings: TaskSettings): Plan {
  const size = sizeOf(pod.spec ?? { containers: [] });
  if (!size) throw new Error("a pod that no task can hold must have been refused");
  const split = build({ pod, maps, size }, settings, false);
  if (JSON.stringify({ containerOverrides: split.overrides }).length <= longestOverrides) return split;
  return build({ pod, maps, size }, settings, true);
}

/** `isWhole`: the definition contains everything, and nothing is overridden. */
function build(setting: Setting, settings: TaskSettings, isWhole: boolean): Plan {
  const { pod, size } = setting;
  const spec = pod.spec ?? { containers: [] };
  const { initContainers = [], containers } = spec;
  const shares = sharesOf(spec, size);
  const overrides: Override[] = [];
  const definitions = [...initContainers, ...containers].map((container, index): ContainerDefinition => {
    const isInit = index < initContainers.length;
    const environment = environmentOf(container, setting);
    const own: Environment = isWhole ? { shared: { ...environment.shared, ...environment.own }, own: {} } : environment;
    const { entryPoint, command, mine } = commandOf(container, own);
    const differs = Object.keys(own.own).length > 0;
    if (differs || mine) {
      overrides.push({
        name: container.name,
        command: mine,
        environment: differs ? variables(own.own) : undefined,
      });
    }
    const before = isInit ? initContainers[index - 1] : initContainers.at(-1);
    return {
      name: container.name,
      image: container.image ?? "",
      // The task ends with any of these; it does not end with init containers and sidecars.
      essential: !isInit,
      entryPoint,
      command,
      workingDirectory: container.workingDir || undefined,
      environment: variables(own.shared),
      mountPoints: mountsOf(spec, container),
      dependsOn: before && [{ containerName: before.name, condition: conditionOf(before) }],
      restartPolicy: restartPolicyOf(spec, container, isInit),
      healthCheck: healthCheckOf(container),
      ...rightsOf(spec, container),
      interactive: container.stdin || undefined,
      pseudoTerminal: container.tty || undefined,
      ...shares.get(container.name),
      stopTimeout: stopTimeOf(spec),
      logConfiguration: {
        logDriver: "awslogs",
        options: {
          "awslogs-group": settings.logGroup,
          "awslogs-region": settings.region,
          // A stream prefix for each pod would need a definition for each pod: ECS registers one a second.
          "awslogs-stream-prefix": logPrefix,
        },
      },
    };
  });
  return { definition: named(spec, { size, settings, definitions }), overrides };
}

interface TaskContent {
  size: Size;
  settings: TaskSettings;
  definitions: ContainerDefinition[];
}

/** The definition, with the family that its content determines. */
function named(spec: PodSpec, { size, settings, definitions }: TaskContent): Definition {
  const disk = diskOf(spec);
  const content = {
    requiresCompatibilities: ["FARGATE"] as ["FARGATE"],
    networkMode: "awsvpc" as const,
    cpu: String(size.cpu),
    memory: String(size.memory),
    executionRoleArn: settings.executionRole,
    runtimePlatform: { cpuArchitecture: "X86_64" as const, operatingSystemFamily: "LINUX" as const },
    pidMode: spec.shareProcessNamespace ? ("task" as const) : undefined,
    ephemeralStorage: disk === undefined ? undefined : { sizeInGiB: disk },
    volumes: (spec.volumes ?? []).filter((volume) => !isTokenVolume(spec, volume)).map(({ name }) => ({ name })),
    containerDefinitions: definitions,
  };
  const hash = createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 40);
  return { family: familyOf(settings, hash), ...content };
}

const familyOf = ({ cluster }: TaskSettings, hash: string): string => `skiff-${cluster}-${hash}`;

/** The prefix of all families of a cluster; a hash follows, unless the family is another cluster's. */
export const familyPrefix = (settings: TaskSettings): string => familyOf(settings, "");
export const isHash = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

const variables = (env: Record<string, string>): Variable[] =>
  Object.entries(env)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

interface Commands {
  entryPoint?: string[] | undefined;
  command?: string[] | undefined;
  /** The command, if it depends on the pod. */
  mine?: string[] | undefined;
}

/**
 * The program and its arguments. Only arguments can be overridden, so only the first word of a command becomes the
 * entry point.
 */
function commandOf({ command = [], args = [] }: Container, { shared, own }: Environment): Commands {
  const env = { ...shared, ...own };
  const names = new Set(Object.keys(own));
  const [program, ...rest] = command;
  const words = [...rest, ...args];
  const expanded = words.map((word) => expand(word, env));
  return {
    entryPoint: program === undefined ? undefined : [expand(program, env)],
    ...(words.some((word) => mentions(word, names))
      ? { mine: expanded }
      : { command: expanded.length > 0 ? expanded : undefined }),
  };
}

/** The state that an init container must reach before the next container starts. */
function conditionOf(before: Container): "START" | "SUCCESS" | "HEALTHY" {
  if (!isSidecar(before)) return "SUCCESS";
  return before.startupProbe ? "HEALTHY" : "START";
}

const mountsOf = (spec: PodSpec, { volumeMounts = [] }: Container): ContainerDefinition["mountPoints"] => {
  const left = new Set(spec.volumes?.filter((volume) => isTokenVolume(spec, volume)).map(({ name }) => name));
  return volumeMounts
    .filter(({ name }) => !left.has(name))
    .map(({ name, mountPath, readOnly }) => ({
      sourceVolume: name,
      containerPath: mountPath,
      readOnly: readOnly ?? false,
    }));
};

/**
 * Restarts in place, as far as ECS supports them: a container that ends sooner than `restartPeriod` ends its task, and
 * the pod gets another. ECS does not allow restarts of an init container that others depend on.
 */
function restartPolicyOf({ restartPolicy = "Always" }: PodSpec, container: Container, isInit: boolean) {
  const policy = isInit ? (isSidecar(container) ? "Always" : "Never") : restartPolicy;
  if (policy === "Never") return undefined;
  const ignoredExitCodes = policy === "OnFailure" ? [0] : undefined;
  return { enabled: true as const, restartAttemptPeriod: restartPeriod, ignoredExitCodes };
}

function rightsOf(spec: PodSpec, { securityContext: own = {} }: Container) {
  const { runAsUser, runAsGroup } = { ...spec.securityContext, ...own };
  const { add = [], drop = [] } = own.capabilities ?? {};
  const plain = (names: string[]) => names.map((name) => name.replace(/^CAP_/, ""));
  const group = runAsGroup === undefined ? "" : `:${runAsGroup}`;
  const capabilities = {
    add: add.length > 0 ? plain(add) : undefined,
    drop: drop.length > 0 ? plain(drop) : undefined,
  };
  return {
    user: runAsUser === undefined ? undefined : `${runAsUser}${group}`,
    readonlyRootFilesystem: own.readOnlyRootFilesystem || undefined,
    linuxParameters: add.length + drop.length > 0 ? { capabilities } : undefined,
  };
}

/** Seconds between a container's stop signal and its kill; at most ECS's maximum. */
const stopTimeOf = ({ terminationGracePeriodSeconds = 30 }: PodSpec): number =>
  Math.min(stopTimes.most, Math.max(stopTimes.least, Number(terminationGracePeriodSeconds)));
