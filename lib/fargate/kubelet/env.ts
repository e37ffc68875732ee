import { type ConfigMap, type Container, type EnvVar, type Pod, quantityMilliValue, quantityValue } from "#api";
import type { Size } from "./sizes.ts";

type Env = Record<string, string>;

/** A container's environment, split by whether other pods of the same template have the same values. */
export interface Environment {
  shared: Env;
  /** Variables that refer to this pod, and variables derived from them. */
  own: Env;
}

/** An object or key that the pod refers to does not exist (yet). */
export class Missing extends Error {
  readonly container: string;
  constructor(container: string, message: string) {
    super(message);
    this.name = "Missing";
    this.container = container;
  }
}

/** The ConfigMaps that a container's environment names. */
export const configMapsOf = ({ env = [], envFrom = [] }: Container): string[] => [
  ...envFrom.flatMap(({ configMapRef }) => configMapRef?.name ?? []),
  ...env.flatMap(({ valueFrom }) => valueFrom?.configMapKeyRef?.name ?? []),
];

export interface Setting {
  pod: Pod;
  size: Size;
  /** The existing ConfigMaps, by name. */
  maps: ReadonlyMap<string, ConfigMap>;
}

/**
 * A container's environment: envFrom, then env, later entries winning; `$(NAME)` refers to earlier ones. Variables of
 * services are left out: they contain addresses of service proxies, and Fargate has none. Throws Missing for an object
 * or key that does not exist and is not optional.
 */
export function environmentOf(container: Container, setting: Setting): Environment {
  const known: Env = {};
  const own = new Set<string>();
  const missing = (message: string) => new Missing(container.name, message);
  for (const { prefix = "", configMapRef } of container.envFrom ?? []) {
    if (!configMapRef) continue;
    const found = setting.maps.get(configMapRef.name ?? "");
    if (!found && !configMapRef.optional) throw missing(`configmap "${configMapRef.name}" not found`);
    for (const [key, value] of Object.entries(found?.data ?? {})) known[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const { name } = variable;
    const isOwn = namesPod(variable) || mentions(variable.value, own);
    const value = valueFor(variable, container, setting, known);
    if (value === undefined) continue;
    known[name] = value;
    if (isOwn) own.add(name);
    else own.delete(name);
  }
  const pick = (wanted: boolean) =>
    Object.fromEntries(Object.entries(known).filter(([name]) => own.has(name) === wanted));
  return { shared: pick(false), own: pick(true) };
}

/** Fields that are the same in every pod of a template. */
const common = new Set(["metadata.namespace", "spec.nodeName", "spec.serviceAccountName"]);
const namesPod = ({ valueFrom }: EnvVar): boolean =>
  valueFrom?.fieldRef !== undefined && !common.has(valueFrom.fieldRef.fieldPath);

const reference = /\$(\$|\(([^)]*)\))/g;

/** Replaces `$(NAME)` by known values; `$$` is a dollar sign; unknown names stay unchanged. */
export const expand = (text: string, env: Env): string =>
  text.replace(reference, (all, kind: string, name: string) =>
    kind === "$" ? "$" : Object.hasOwn(env, name) ? env[name]! : all,
  );

/** Whether a text refers to one of these variables. */
export const mentions = (text: string | undefined, names: ReadonlySet<string>): boolean =>
  [...(text ?? "").matchAll(reference)].some(([, kind, name]) => kind !== "$" && names.has(name!));

function valueFor({ value, valueFrom }: EnvVar, container: Container, { pod, size, maps }: Setting, known: Env) {
  if (!valueFrom) return expand(value ?? "", known);
  const { fieldRef, resourceFieldRef, configMapKeyRef } = valueFrom;
  if (fieldRef) return fieldValue(pod, fieldRef.fieldPath);
  if (resourceFieldRef) {
    const other = pod.spec?.containers.find(({ name }) => name === resourceFieldRef.containerName);
    return resourceValue(other ?? container, resourceFieldRef, size);
  }
  if (!configMapKeyRef) return undefined;
  const { name = "", key, optional } = configMapKeyRef;
  const found = maps.get(name);
  const text = found?.data?.[key];
  if (text !== undefined || optional) return text;
  const where = `${pod.metadata.namespace}/${name}`;
  throw new Missing(
    container.name,
    found ? `couldn't find key ${key} in ConfigMap ${where}` : `configmap "${name}" not found`,
  );
}

const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/;

/** The value at a field path; undefined for a path that is unknown before the task runs, or unsupported. */
export function fieldValue({ metadata, spec }: Pod, path: string): string | undefined {
  const indexed = subscript.exec(path);
  if (indexed) return metadata[indexed[1] as "labels" | "annotations"]?.[indexed[2]!] ?? "";
  const fields: Record<string, string | undefined> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
    "spec.nodeName": spec?.nodeName,
    "spec.serviceAccountName": spec?.serviceAccountName ?? "",
  };
  return fields[path];
}

export const knownResource = /^(limits|requests)\.(cpu|memory|ephemeral-storage)$/;

/** A request or limit as a whole number of divisors, rounded up. A missing limit is the task's size. */
function resourceValue(
  { resources }: Container,
  { resource, divisor = "0" }: { resource: string; divisor?: string | undefined },
  size: Size,
): string | undefined {
  const [, part, name] = knownResource.exec(resource) ?? [];
  if (part === undefined || name === undefined) return undefined;
  const room: Env = { cpu: `${Math.floor((size.cpu * 1000) / 1024)}m`, memory: `${size.memory}Mi` };
  const { limits, requests } = resources ?? {};
  const limit = limits?.[name] ?? room[name] ?? "20Gi";
  const amount = part === "limits" ? limit : (requests?.[name] ?? limits?.[name] ?? "0");
  const count = name === "cpu" ? quantityMilliValue : quantityValue;
  const given = count(divisor);
  const per = given === 0n ? count("1") : given;
  return ((count(amount) + per - 1n) / per).toString();
}
