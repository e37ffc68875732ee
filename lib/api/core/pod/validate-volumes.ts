/** Rules for a pod's volumes. */
import {
  checkOneOf,
  compareQuantities,
  dnsLabelErrors,
  dnsSubdomainErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  requiredValue,
  requireText,
} from "../../meta/index.ts";
import { checkKeyToPath, checkMode, checkNoBacksteps } from "./paths.ts";
import { validateClaimTemplate } from "./validate-claim-template.ts";
import { driverVolumes } from "./validate-driver-volumes.ts";
import { validateDownwardFile, validateProjected } from "./validate-projected.ts";
import type { Volume } from "./volume.ts";

/** What a volume's rules may look at beside the volume. */
export interface VolumeContext {
  /** The pod's name; undefined in a template. */
  podName: string | undefined;
}

type Source = Exclude<keyof Volume, "name">;
type Checks = {
  [K in Source]-?: (
    source: NonNullable<Volume[K]>,
    path: string,
    volume: Volume,
    context: VolumeContext,
  ) => FieldError[];
};

const hostPathTypes = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

/** The rules of every kind of volume, in the order in which upstream looks at them. */
const checks: Checks = {
  emptyDir: ({ sizeLimit }, path) =>
    sizeLimit !== undefined && compareQuantities(sizeLimit, "0") < 0
      ? [forbiddenValue(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity")]
      : [],
  hostPath: ({ path: folder = "", type }, path) =>
    folder === ""
      ? [requiredValue(`${path}.path`)]
      : [...checkNoBacksteps(`${path}.path`, folder), ...checkOneOf(`${path}.type`, type, hostPathTypes)],
  gitRepo: driverVolumes.gitRepo,
  gcePersistentDisk: driverVolumes.gcePersistentDisk,
  awsElasticBlockStore: driverVolumes.awsElasticBlockStore,
  secret: ({ secretName, items = [], defaultMode }, path) => [
    ...requireText(`${path}.secretName`, secretName),
    ...checkMode(`${path}.defaultMode`, defaultMode),
    ...items.flatMap((item, index) => checkKeyToPath(`${path}.items[${index}]`, item)),
  ],
  nfs: ({ server, path: folder = "" }, path) => [
    ...requireText(`${path}.server`, server),
    ...requireText(`${path}.path`, folder),
    ...(folder.startsWith("/") ? [] : [invalidValue(`${path}.path`, folder, "must be an absolute path")]),
  ],
  iscsi(source, path, { name = "" }) {
    const errors = driverVolumes.iscsi(source, path);
    if (source.initiatorName === undefined || `${name}:${source.targetPortal}`.length <= 64) return errors;
    const why =
      "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
    return [...errors, invalidValue(path.replace(/\.iscsi$/, ".name"), name, why)];
  },
  glusterfs: driverVolumes.glusterfs,
  flocker: driverVolumes.flocker,
  persistentVolumeClaim: ({ claimName }, path) => requireText(`${path}.claimName`, claimName),
  rbd: driverVolumes.rbd,
  cinder: driverVolumes.cinder,
  cephfs: driverVolumes.cephfs,
  quobyte: driverVolumes.quobyte,
  downwardAPI: ({ items = [], defaultMode }, path) => [
    ...checkMode(`${path}.defaultMode`, defaultMode),
    ...items.flatMap((file) => validateDownwardFile(file, path)),
  ],
  fc: driverVolumes.fc,
  flexVolume: driverVolumes.flexVolume,
  configMap: ({ name, items = [], defaultMode }, path) => [
    ...requireText(`${path}.name`, name),
    ...checkMode(`${path}.defaultMode`, defaultMode),
    ...items.flatMap((item, index) => checkKeyToPath(`${path}.items[${index}]`, item)),
  ],
  azureFile: driverVolumes.azureFile,
  vsphereVolume: driverVolumes.vsphereVolume,
  photonPersistentDisk: driverVolumes.photonPersistentDisk,
  portworxVolume: driverVolumes.portworxVolume,
  azureDisk: driverVolumes.azureDisk,
  storageos: driverVolumes.storageos,
  projected: validateProjected,
  scaleIO: driverVolumes.scaleIO,
  csi: validateCsi,
  ephemeral({ volumeClaimTemplate }, path, { name = "" }, { podName }) {
    const errors = volumeClaimTemplate
      ? validateClaimTemplate(volumeClaimTemplate, `${path}.volumeClaimTemplate`)
      : [requiredValue(`${path}.volumeClaimTemplate`)];
    if (!podName || !name) return errors;
    const claim = `${podName}-${name}`;
    const wrong = dnsSubdomainErrors(claim).map((message) => `PVC name "${claim}": ${message}`);
    return [...errors, ...invalidAll(path.replace(/\.ephemeral$/, ".name"), name, wrong)];
  },
  image: ({ reference, pullPolicy }, path, _volume, { podName }) => [
    ...(podName === undefined ? [] : requireText(`${path}.reference`, reference)),
    ...checkOneOf(`${path}.pullPolicy`, pullPolicy, ["Always", "IfNotPresent", "Never"]),
  ],
};

/** Upstream's errors call this volume by another name. */
const shownNames: Partial<Record<Source, string>> = { gcePersistentDisk: "persistentDisk" };

const sources = Object.keys(checks) as Source[];

function validateCsi({ driver = "", nodePublishSecretRef }: NonNullable<Volume["csi"]>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!driver) errors.push(requiredValue(`${path}.driver`));
  if (driver.length > 63) {
    errors.push({
      reason: "FieldValueTooLong",
      field: `${path}.driver`,
      message: "Too long: may not be more than 63 bytes",
    });
  }
  if (driver) errors.push(...invalidAll(`${path}.driver`, driver, dnsSubdomainErrors(driver.toLowerCase())));
  if (!nodePublishSecretRef) return errors;
  const { name } = nodePublishSecretRef;
  if (!name) return [...errors, requiredValue(`${path}.nodePublishSecretRef.name`)];
  return [...errors, ...invalidAll(`${path}.name`, name, dnsSubdomainErrors(name))];
}

function validateVolume(volume: Volume, at: string, context: VolumeContext): FieldError[] {
  const errors: FieldError[] = [];
  const present = sources.filter((source) => volume[source] !== undefined);
  for (const [index, source] of present.entries()) {
    if (index > 0) {
      errors.push(forbiddenValue(`${at}.${source}`, "may not specify more than 1 volume type"));
      continue;
    }
    const check = checks[source] as (
      source: unknown,
      path: string,
      volume: Volume,
      context: VolumeContext,
    ) => FieldError[];
    errors.push(...check(volume[source], `${at}.${shownNames[source] ?? source}`, volume, context));
  }
  if (present.length === 0) errors.push(requiredValue(at, "must specify a volume type"));
  return errors;
}

/** All volumes of a pod; `known` receives those that are fine, by name. */
export function validateVolumes(
  volumes: readonly Volume[],
  path: string,
  context: VolumeContext,
  known: Map<string, Volume>,
): FieldError[] {
  const all: FieldError[] = [];
  const { podName } = context;
  const made = new Set(
    podName ? volumes.filter((volume) => volume.ephemeral).map(({ name }) => `${podName}-${name}`) : [],
  );
  for (const [index, volume] of volumes.entries()) {
    const at = `${path}[${index}]`;
    const { name = "" } = volume;
    const errors = validateVolume(volume, at, context);
    errors.push(...(name ? invalidAll(`${at}.name`, name, dnsLabelErrors(name)) : [requiredValue(`${at}.name`)]));
    if (known.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    if (errors.length === 0) known.set(name, volume);
    all.push(...errors);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined && made.has(claim)) {
      const why = "must not reference a PVC that gets created for an ephemeral volume";
      all.push(invalidValue(`${at}.persistentVolumeClaim.claimName`, claim, why));
    }
  }
  return all;
}
