import type {
  ConfigMap,
  ConfigMapProjection,
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  Secret,
  SecretProjection,
  ServiceAccountTokenProjection,
  Volume,
} from "#api";
import type { Payload } from "./atomic.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import { VolumeError } from "./error.ts";
import type { PodTokens } from "./tokens.ts";

/** The sources of a payload besides the pod. */
export interface PayloadSource {
  /** Undefined when it does not exist. */
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  host: { ips: string[] };
  allocatable: Record<string, string>;
  /** Absent where pods get no tokens. */
  tokens?: PodTokens | undefined;
}

/** The files of a configMap, secret, downwardAPI or projected volume. Throws VolumeError. */
export async function payloadOf(pod: Pod, volume: Volume, source: PayloadSource): Promise<Payload> {
  const { configMap, secret, downwardAPI, projected } = volume;
  const defaultMode = (configMap ?? secret ?? downwardAPI ?? projected)?.defaultMode ?? 0o644;
  const setting: Setting = { pod, source, mode: defaultMode };
  if (configMap) return configMapFiles(configMap, setting);
  if (secret) return secretFiles({ ...secret, name: secret.secretName }, setting);
  if (downwardAPI) return downwardFiles(downwardAPI.items ?? [], setting);
  const all: Payload = {};
  for (const one of projected?.sources ?? []) {
    if (one.configMap) Object.assign(all, await configMapFiles(one.configMap, setting));
    else if (one.secret) Object.assign(all, await secretFiles(one.secret, setting));
    else if (one.downwardAPI) Object.assign(all, downwardFiles(one.downwardAPI.items ?? [], setting));
    else if (one.serviceAccountToken) {
      Object.assign(all, await tokenFile(one.serviceAccountToken, setting));
    } else
      throw new VolumeError(`projected source ${Object.keys(one)[0] ?? "of no kind"} is not supported by this node`);
  }
  return all;
}

interface Setting {
  pod: Pod;
  source: PayloadSource;
  /** Of files without a mode of their own. */
  mode: number;
}

async function configMapFiles(from: ConfigMapProjection, { pod, source, mode }: Setting): Promise<Payload> {
  const { name = "" } = from;
  const found = await source.configMap(pod.metadata.namespace ?? "", name);
  if (!found && !from.optional) throw new VolumeError(`configmap "${name}" not found`);
  const data: Record<string, Uint8Array> = {};
  for (const [key, value] of Object.entries(found?.data ?? {})) data[key] = Buffer.from(value);
  for (const [key, value] of Object.entries(found?.binaryData ?? {})) data[key] = Buffer.from(value, "base64");
  return keyFiles({ data, items: from.items, mode, optional: from.optional === true, what: "configmap" });
}

async function secretFiles(from: SecretProjection, { pod, source, mode }: Setting): Promise<Payload> {
  const { name = "" } = from;
  const found = await source.secret(pod.metadata.namespace ?? "", name);
  if (!found && !from.optional) throw new VolumeError(`secret "${name}" not found`);
  const data: Record<string, Uint8Array> = {};
  for (const [key, value] of Object.entries(found?.data ?? {})) data[key] = Buffer.from(value, "base64");
  return keyFiles({ data, items: from.items, mode, optional: from.optional === true, what: "secret" });
}

interface Keys {
  data: Record<string, Uint8Array>;
  items: KeyToPath[] | undefined;
  mode: number;
  optional: boolean;
  what: string;
}

/** Every key, or those that `items` picks. */
function keyFiles({ data, items, mode, optional, what }: Keys): Payload {
  const files: Payload = {};
  if (!items?.length) {
    for (const [key, bytes] of Object.entries(data)) files[key] = { bytes, mode };
    return files;
  }
  for (const item of items) {
    const bytes = data[item.key];
    if (bytes) files[item.path] = { bytes, mode: item.mode ?? mode };
    else if (!optional)
      throw new VolumeError(
        `${what} references non-existent ${what === "secret" ? "secret" : "config"} key: ${item.key}`,
      );
  }
  return files;
}

function downwardFiles(items: DownwardAPIVolumeFile[], { pod, source, mode }: Setting): Payload {
  const files: Payload = {};
  for (const { path, fieldRef, resourceFieldRef, mode: own } of items) {
    let text = "";
    if (fieldRef) text = fieldValue(pod, fieldRef.fieldPath, { ...source.host, podIPs: [] });
    else if (resourceFieldRef) {
      const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
      const container = containers.find(({ name }) => name === resourceFieldRef.containerName);
      if (!container) throw new VolumeError(`container ${resourceFieldRef.containerName} not found`);
      text = resourceValue(container, resourceFieldRef, source.allocatable);
    }
    files[path] = { bytes: Buffer.from(text), mode: own ?? mode };
  }
  return files;
}

/** Only the user that reads a token may access its file, if that user is known (upstream's projected volume plugin). */
async function tokenFile(
  { path, audience, expirationSeconds = 3600 }: ServiceAccountTokenProjection,
  { pod, source, mode }: Setting,
): Promise<Payload> {
  const { tokens } = source;
  if (!tokens) throw new VolumeError("projected service account tokens are not supported by this node");
  const { token } = await tokens.get(pod, {
    audience: audience || undefined,
    expirationSeconds: Number(expirationSeconds),
  });
  const user = onlyUser(pod);
  const isPrivate = user !== undefined || pod.spec?.securityContext?.fsGroup !== undefined;
  const file = { bytes: Buffer.from(token), mode: isPrivate ? 0o600 : mode };
  return { [path]: user === undefined ? file : { ...file, user } };
}

/** The user that all containers run as; undefined when users differ or the image defines them. */
function onlyUser({ spec }: Pod): number | undefined {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const users = new Set(
    containers.map(({ securityContext }) => securityContext?.runAsUser ?? spec?.securityContext?.runAsUser),
  );
  const [user] = users;
  return users.size === 1 && user !== undefined ? Number(user) : undefined;
}
