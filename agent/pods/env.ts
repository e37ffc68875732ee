import { fieldValue, resourceValue } from "#agent/volumes";
import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from "#api";
import { type PodsContext, StartError } from "./context.ts";

type Env = Record<string, string>;

const reference = /\$(\$|\(([^)]*)\))/g;

/** Replaces `$(NAME)` by the variable's value; `$$` is a dollar sign; unknown names stay as they are. */
export function expand(text: string, env: Env): string {
  return text.replace(reference, (all, kind: string, name: string) =>
    kind === "$" ? "$" : Object.hasOwn(env, name) ? env[name]! : all,
  );
}

/** Shell-like names of a service: upper case, dashes become underscores. */
const upper = (name: string): string => name.toUpperCase().replaceAll("-", "_");

/** The variables of services, in the form of Docker's links. */
export function serviceEnv(services: Service[]): Env {
  const env: Env = {};
  for (const { metadata, spec } of services) {
    const ip = spec?.clusterIP ?? "";
    const ports = spec?.ports ?? [];
    if (ip === "" || ip === "None" || ports.length === 0) continue;
    const name = upper(metadata.name ?? "");
    const host = ip.includes(":") ? `[${ip}]` : ip;
    env[`${name}_SERVICE_HOST`] = ip;
    env[`${name}_SERVICE_PORT`] = String(ports[0]!.port);
    for (const { name: port, port: number } of ports) {
      if (port) env[`${name}_SERVICE_PORT_${upper(port)}`] = String(number);
    }
    for (const [index, { port, protocol = "TCP" }] of ports.entries()) {
      const url = `${protocol.toLowerCase()}://${host}:${port}`;
      const prefix = `${name}_PORT_${port}_${protocol}`;
      if (index === 0) env[`${name}_PORT`] = url;
      env[prefix] = url;
      env[`${prefix}_PROTO`] = protocol.toLowerCase();
      env[`${prefix}_PORT`] = String(port);
      env[`${prefix}_ADDR`] = ip;
    }
  }
  return env;
}

const configError = (message: string): StartError => new StartError("CreateContainerConfigError", message);

/** Reads the objects of one container's environment, each once. */
function reader(context: PodsContext, namespace: string) {
  const maps = new Map<string, Promise<ConfigMap | undefined>>();
  const secrets = new Map<string, Promise<Secret | undefined>>();
  const once = <T>(known: Map<string, Promise<T>>, name: string, read: () => Promise<T>): Promise<T> => {
    const reading = known.get(name) ?? read();
    known.set(name, reading);
    return reading;
  };
  return {
    configMap: (name: string) => once(maps, name, () => context.api.configMap(namespace, name)),
    secret: (name: string) => once(secrets, name, () => context.api.secret(namespace, name)),
  };
}
type Reader = ReturnType<typeof reader>;

const decode = (text: string): string => Buffer.from(text, "base64").toString();

/**
 * A container's environment: services, then envFrom, then env, later ones override earlier ones; `$(NAME)` refers to an
 * earlier variable. Throws StartError CreateContainerConfigError for a missing object or key that is not optional.
 */
export async function environmentOf(
  context: PodsContext,
  { pod, container, podIPs }: { pod: Pod; container: Container; podIPs: string[] },
): Promise<Env> {
  const namespace = pod.metadata.namespace ?? "";
  const read = reader(context, namespace);
  const env: Env = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const { name = "" } = configMapRef;
      const found = await read.configMap(name);
      if (!found && !configMapRef.optional) throw configError(`configmap "${name}" not found`);
      for (const [key, value] of Object.entries(found?.data ?? {})) env[prefix + key] = value;
    }
    if (secretRef) {
      const { name = "" } = secretRef;
      const found = await read.secret(name);
      if (!found && !secretRef.optional) throw configError(`secret "${name}" not found`);
      for (const [key, value] of Object.entries(found?.data ?? {})) env[prefix + key] = decode(value);
    }
  }
  const services = serviceEnv(await servicesFor(context, pod));
  const known: Env = { ...services, ...env };
  for (const variable of container.env ?? []) {
    const value = await valueFor(variable, { context, pod, container, podIPs, read, known });
    if (value !== undefined) known[variable.name] = value;
  }
  return known;
}

/** The services of the namespace, unless the pod disables them, and always that of the API. */
async function servicesFor(context: PodsContext, pod: Pod): Promise<Service[]> {
  const namespace = pod.metadata.namespace ?? "";
  const master = (await context.api.services("default")).filter(({ metadata }) => metadata.name === "kubernetes");
  if (pod.spec?.enableServiceLinks === false) return master;
  return [...master, ...(await context.api.services(namespace))];
}

interface VariableSources {
  context: PodsContext;
  pod: Pod;
  container: Container;
  podIPs: string[];
  read: Reader;
  known: Env;
}

/** Undefined omits the variable. */
async function valueFor(variable: EnvVar, sources: VariableSources): Promise<string | undefined> {
  const { context, pod, container, podIPs, read, known } = sources;
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? "", known);
  const { node } = context;
  if (from.fieldRef) {
    // With host networking the pod's address is the host's, even before the status has it.
    const ips = pod.spec?.hostNetwork ? node.ips : podIPs;
    return fieldValue(pod, from.fieldRef.fieldPath, { ips: node.ips, podIPs: ips });
  }
  if (from.resourceFieldRef) {
    const { containerName } = from.resourceFieldRef;
    const other = (pod.spec?.containers ?? []).find(({ name }) => name === containerName);
    return resourceValue(other ?? container, from.resourceFieldRef, node.allocatable);
  }
  const namespace = pod.metadata.namespace ?? "";
  if (from.configMapKeyRef) {
    const { name = "", key, optional } = from.configMapKeyRef;
    const found = await read.configMap(name);
    const value = found?.data?.[key];
    if (value !== undefined || optional) return value;
    throw configError(
      found ? `couldn't find key ${key} in ConfigMap ${namespace}/${name}` : `configmap "${name}" not found`,
    );
  }
  if (from.secretKeyRef) {
    const { name = "", key, optional } = from.secretKeyRef;
    const found = await read.secret(name);
    const value = found?.data?.[key];
    if (value !== undefined) return decode(value);
    if (optional) return undefined;
    throw configError(found ? `couldn't find key ${key} in Secret ${namespace}/${name}` : `secret "${name}" not found`);
  }
  throw configError(`env ${variable.name}: ${Object.keys(from)[0] ?? "empty source"} is not supported by this node`);
}
