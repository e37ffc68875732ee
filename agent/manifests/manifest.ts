import { createHash } from "node:crypto";
import {
  apiReferenceOf,
  applyDefaults,
  type FieldError,
  fillZeros,
  type KubernetesObject,
  type Pod,
  pods,
  validateObjectMeta,
} from "#api";
import type { Json, JsonObject } from "#base";
import { bodyTypes, type RawBody, readText, receive } from "#wire";

/** Where static pods come from; the value of the annotation `kubernetes.io/config.source`. */
export type StaticSource = "file" | "http";

/** A manifest that cannot be used. `place` is a path or a URL. */
export interface ManifestFault {
  place: string;
  message: string;
}

export interface ManifestOptions {
  source: StaticSource;
  /** The path or the URL of the manifest: two equal manifests are two pods. */
  place: string;
  /** The node's name. */
  node: string;
}

/** The largest manifest, in bytes; upstream's kubelet has the same limit. */
export const longestManifest = 10 * 2 ** 20;

export const hashAnnotation = "kubernetes.io/config.hash";
export const sourceAnnotation = "kubernetes.io/config.source";

/**
 * The pods of a manifest in JSON or YAML: a Pod, or from a URL a PodList or List too. They are completed as upstream's
 * kubelet does: the node's name after their own, a uid made of their content and place, defaults, and from files a
 * toleration of every NoExecute taint. Throws an Error that names the fault.
 */
export async function readManifest(text: Uint8Array, options: ManifestOptions): Promise<Pod[]> {
  if (text.length > longestManifest) throw new Error(`the manifest has more than ${longestManifest} bytes`);
  const isJson = Buffer.from(text.subarray(0, 1024)).toString().trimStart().startsWith("{");
  const raw = await readText(text, isJson ? bodyTypes.json : bodyTypes.yaml, false);
  return itemsOf(raw, options).map((item) => podOf(item, options));
}

function itemsOf(raw: RawBody, { source }: ManifestOptions): RawBody[] {
  const { json, kind, apiVersion } = raw;
  const what = kind === "" ? "an object without a kind" : `${apiVersion} ${kind}`;
  if (apiVersion === "v1" && kind === "Pod") return [raw];
  const isList = apiVersion === "v1" && (kind === "PodList" || kind === "List");
  if (!isList || source === "file") throw new Error(`expected a v1 Pod, found ${what}`);
  const { items } = json as { items?: Json };
  if (!Array.isArray(items)) throw new Error(`${what}: items is not a list`);
  return items.map((item) => ({ json: item, apiVersion: "v1", kind: "Pod", strict: [] }));
}

function podOf(raw: RawBody, { source, place, node }: ManifestOptions): Pod {
  const { kind: _, apiVersion: __, ...content } = receive(pods, raw, "Ignore").object;
  const pod = { metadata: {}, ...content } as unknown as Pod;
  const { metadata } = pod;
  if (!metadata.name) throw new Error("invalid pod: name is needed for the pod");
  metadata.uid ||= uidOf(content as JsonObject, source === "file" ? `host:${node}file:${place}` : `url:${place}`);
  metadata.name = `${metadata.name}-${node.toLowerCase()}`;
  metadata.namespace ||= "default";
  metadata.annotations = { ...metadata.annotations, [hashAnnotation]: metadata.uid, [sourceAnnotation]: source };
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  if (pod.spec) {
    pod.spec.nodeName = node;
    const tolerated = { operator: "Exists", effect: "NoExecute" } as const;
    if (source === "file") pod.spec.tolerations = [...(pod.spec.tolerations ?? []), tolerated];
  }
  fillZeros(pods.shape, pod as KubernetesObject);
  applyDefaults(pods.shape, pod as KubernetesObject);
  pods.defaults?.(pod);
  pod.status = { phase: "Pending" };
  const faults: FieldError[] = [
    ...validateObjectMeta(pods, metadata),
    ...(pods.validate?.(pod) ?? []),
    ...(pods.validateCreate?.(pod) ?? []),
  ];
  if (faults.length > 0) {
    throw new Error(`invalid pod: ${faults.map(({ field, message }) => `${field}: ${message}`).join(", ")}`);
  }
  const referred = apiReferenceOf(pod);
  if (referred !== undefined) throw new Error(`static pods may not reference ${referred}`);
  return pod;
}

/** 32 hexadecimal digits, the same for the same content at the same place, whatever the order of its members. */
const uidOf = (content: JsonObject, place: string): string =>
  createHash("sha256").update(JSON.stringify(content, inOrder)).update(place).digest("hex").slice(0, 32);

const inOrder = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
};
