import type { Pod, PodSpec } from "./spec.ts";
import { containersOf } from "./visit.ts";

/** A volume by its members: each source is one. */
type Sources = Record<string, { [member: string]: unknown } | undefined>;

/** Members of volume sources that name a secret, or hold a reference to one. */
const secretMembers = ["secretName", "secretRef", "nodePublishSecretRef"];
/** Sources that need no object of the API besides. */
const ownSources = new Set([
  ...[
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
  ],
  ...["gcePersistentDisk", "gitRepo", "hostPath", "image", "iscsi", "nfs", "photonPersistentDisk", "portworxVolume"],
  ...["quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"],
]);
const otherSources: Readonly<Record<string, string>> = {
  configMap: "configmaps (via configmap volumes)",
  secret: "secrets (via secret volumes)",
  csi: "csidrivers (via CSI volumes)",
  glusterfs: "endpoints (via glusterFS volumes)",
  persistentVolumeClaim: "persistentvolumeclaims",
  ephemeral: "persistentvolumeclaims (via ephemeral volumes)",
  azureFile: "secrets (via azureFile volumes)",
};
const projectedSources: Readonly<Record<string, string>> = {
  configMap: "configmaps (via projected volumes)",
  secret: "secrets (via projected volumes)",
  serviceAccountToken: "serviceaccounts (via projected volumes)",
  clusterTrustBundle: "clustertrustbundles",
  podCertificate: "podcertificates",
};

/**
 * The first kind of API object that a pod refers to, in upstream's words; undefined when it refers to none. Static pods
 * and their mirror pods may refer to none (HasAPIObjectReference, pkg/api/pod/util.go, v1.37.2).
 */
export function apiReferenceOf({ spec }: Pod): string | undefined {
  if (!spec) return undefined;
  if (spec.serviceAccountName) return "serviceaccounts";
  if (namesOne(spec, "secret")) return "secrets";
  if (namesOne(spec, "configMap")) return "configmaps";
  if (spec.resourceClaims?.length) return "resourceclaims";
  for (const { name: _, ...sources } of spec.volumes ?? []) {
    const found = inVolume(sources as Sources);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inVolume(sources: Sources): string | undefined {
  for (const [source, value] of Object.entries(sources)) {
    if (value === undefined || ownSources.has(source)) continue;
    if (source !== "projected") return otherSources[source] ?? source;
    const projected = (value as { sources?: Sources[] }).sources ?? [];
    const [found] = projected
      .flatMap((part) => Object.keys(part).filter((key) => part[key] !== undefined))
      .flatMap((key) => projectedSources[key] ?? []);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether the pod names a secret, or a config map, anywhere; empty names do not count. */
function namesOne(spec: PodSpec, what: "secret" | "configMap"): boolean {
  const names: unknown[] = what === "secret" ? (spec.imagePullSecrets ?? []).map(({ name }) => name) : [];
  for (const [{ env = [], envFrom = [] }] of containersOf(spec)) {
    names.push(...envFrom.map((from) => from[`${what}Ref`]?.name));
    names.push(...env.map(({ valueFrom }) => valueFrom?.[`${what}KeyRef`]?.name));
  }
  for (const { name: _, ...sources } of spec.volumes ?? []) names.push(...volumeNames(sources as Sources, what));
  return names.some((name) => typeof name === "string" && name !== "");
}

function volumeNames(sources: Sources, what: "secret" | "configMap"): unknown[] {
  const projected = (sources["projected"] as { sources?: Sources[] } | undefined)?.sources ?? [];
  const names: unknown[] = projected.map((part) => part[what]?.["name"]);
  if (what === "configMap") return [...names, sources["configMap"]?.["name"]];
  for (const source of Object.values(sources)) {
    for (const member of secretMembers) {
      const value = source?.[member];
      names.push(typeof value === "string" ? value : (value as { name?: string } | undefined)?.name);
    }
  }
  return names;
}
