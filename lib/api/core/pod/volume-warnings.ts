/** Warnings about a pod's volumes: plugins that are gone, and files that hide each other. */
import { fractional } from "./fractions.ts";
import type { VolumeProjection } from "./projected-volume.ts";
import type { Volume } from "./volume.ts";

const gonePlugins: readonly (readonly [plugin: keyof Volume, why: string])[] = [
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["flocker", "deprecated in v1.22, non-functional in v1.25+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+"],
  ["quobyte", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
];
/** Upstream's spelling in the path, where it differs from the field's. */
const spelling: Partial<Record<keyof Volume, string>> = { storageos: "storageOS" };

export const pluginWarnings = (volumes: readonly Volume[], path: string): string[] =>
  volumes.flatMap((volume, index) => [
    ...gonePlugins.flatMap(([plugin, why]) =>
      volume[plugin] ? [`${path}[${index}].${spelling[plugin] ?? plugin}: ${why}`] : [],
    ),
    ...claimWarnings(volume, `${path}[${index}].ephemeral.volumeClaimTemplate.spec`),
  ]);

function claimWarnings({ ephemeral }: Volume, path: string): string[] {
  const resources = ephemeral?.volumeClaimTemplate?.spec?.resources;
  return (["requests", "limits"] as const).flatMap((part) =>
    fractional(resources?.[part], `${path}.resources.${part}`, ["storage"]),
  );
}

interface File {
  path: string;
  /** The source of the field; "" where it is clear. */
  source: string;
}

const shown = ({ path, source }: File): string =>
  source === "" ? JSON.stringify(path) : `${JSON.stringify(path)} (${source})`;

/** Files of one volume of which one has the path of the other, or is below it. */
export function overlapWarnings(volumes: readonly Volume[]): string[] {
  return volumes.flatMap(({ name, configMap, secret, downwardAPI, projected }) => {
    const warn = (what: string, files: readonly File[]): string[] =>
      overlaps(files).map((how) => `volume ${JSON.stringify(name)} (${what}): overlapping paths: ${how}`);
    const plain = (items: readonly { path: string }[] | undefined) => filesOf(items, "");
    return [
      ...(configMap ? warn(`ConfigMap ${JSON.stringify(configMap.name ?? "")}`, plain(configMap.items)) : []),
      ...(secret ? warn(`Secret ${JSON.stringify(secret.secretName ?? "")}`, plain(secret.items)) : []),
      ...(downwardAPI ? warn("DownwardAPI", plain(downwardAPI.items)) : []),
      ...(projected?.sources ?? []).flatMap((source) =>
        Object.keys(source).length === 0 ? [`volume ${JSON.stringify(name)} (Projected) has no sources provided`] : [],
      ),
      ...(projected ? warn("Projected", (projected.sources ?? []).flatMap(filesOfSource)) : []),
    ];
  });
}

const filesOf = (items: readonly { path: string }[] | undefined, source: string): File[] =>
  (items ?? []).map(({ path }) => ({ path, source }));

function filesOfSource(from: VolumeProjection): File[] {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = from;
  if (configMap?.items) return filesOf(configMap.items, `ConfigMap ${JSON.stringify(configMap.name ?? "")}`);
  if (secret?.items) return filesOf(secret.items, `Secret ${JSON.stringify(secret.name ?? "")}`);
  if (downwardAPI?.items) return filesOf(downwardAPI.items, "DownwardAPI");
  if (serviceAccountToken) return filesOf([serviceAccountToken], "ServiceAccountToken");
  if (clusterTrustBundle) {
    const { name, signerName } = clusterTrustBundle;
    return filesOf([clusterTrustBundle], `ClusterTrustBundle ${JSON.stringify(name ?? signerName ?? "")}`);
  }
  const { certificateChainPath, keyPath, credentialBundlePath } = podCertificate ?? {};
  const made: [string | undefined, string][] = [
    [certificateChainPath, "PodCertificate chain"],
    [keyPath, "PodCertificate key"],
    [credentialBundlePath, "PodCertificate credential bundle"],
  ];
  return made.flatMap(([path, source]) => (path ? [{ path, source }] : []));
}

/** How many files of a volume are compared, and how many warnings that gives: more would not be sent. */
const [mostFiles, mostOverlaps] = [1000, 100];

function overlaps(files: readonly File[]): string[] {
  const found: string[] = [];
  const before: (File & { folder: string })[] = [];
  for (const { path, source } of files.slice(0, mostFiles)) {
    const trimmed = withoutSlashes(path);
    if (trimmed === "") continue;
    const file = { path: trimmed, source, folder: `${trimmed}/` };
    for (const other of before) {
      if (!file.folder.startsWith(other.folder) && !other.folder.startsWith(file.folder)) continue;
      found.push(`${shown(file)} with ${shown(other)}`);
      if (found.length === mostOverlaps) return found;
    }
    before.push(file);
  }
  return found;
}

function withoutSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === "/") end--;
  return path.slice(0, end);
}
