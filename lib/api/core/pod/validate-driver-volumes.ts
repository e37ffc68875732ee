/** Rules for volumes that a driver of a certain storage provides. Most of these drivers now live outside Kubernetes. */
import {
  checkOneOf,
  dnsLabelErrors,
  type FieldError,
  invalidAll,
  invalidValue,
  notBetween,
  notSupported,
  requiredValue,
  requireText,
} from "../../meta/index.ts";
import { checkDescendingPath } from "./paths.ts";
import type { Volume } from "./volume.ts";

/** One kind of volume: its rules, and the name that upstream's errors use where that differs. */
type Checks = { [K in keyof Volume]?: (source: NonNullable<Volume[K]>, path: string) => FieldError[] };

const checkPartition = (field: string, partition = 0): FieldError[] =>
  partition < 0 || partition > 255 ? [invalidValue(field, partition, notBetween(1, 255))] : [];

export const driverVolumes = {
  gitRepo: ({ repository, directory = "" }, path) => [
    ...requireText(`${path}.repository`, repository),
    ...checkDescendingPath(`${path}.directory`, directory),
  ],
  gcePersistentDisk: ({ pdName, partition }, path) => [
    ...requireText(`${path}.pdName`, pdName),
    ...checkPartition(`${path}.partition`, partition),
  ],
  awsElasticBlockStore: ({ volumeID, partition }, path) => [
    ...requireText(`${path}.volumeID`, volumeID),
    ...checkPartition(`${path}.partition`, partition),
  ],
  iscsi: validateIscsi,
  glusterfs: ({ endpoints, path: volume }, path) => [
    ...requireText(`${path}.endpoints`, endpoints),
    ...requireText(`${path}.path`, volume),
  ],
  flocker({ datasetName = "", datasetUUID = "" }, path) {
    const errors: FieldError[] = [];
    if (!datasetName && !datasetUUID) {
      errors.push(requiredValue(path, "one of datasetName and datasetUUID is required"));
    }
    if (datasetName && datasetUUID) {
      errors.push(invalidValue(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
    }
    if (datasetName.includes("/")) {
      errors.push(invalidValue(`${path}.datasetName`, datasetName, "must not contain '/'"));
    }
    return errors;
  },
  rbd: ({ monitors, image }, path) => [
    ...(monitors?.length ? [] : [requiredValue(`${path}.monitors`)]),
    ...requireText(`${path}.image`, image),
  ],
  cinder: ({ volumeID, secretRef }, path) => [
    ...requireText(`${path}.volumeID`, volumeID),
    ...(secretRef ? requireText(`${path}.secretRef.name`, secretRef.name) : []),
  ],
  cephfs: ({ monitors }, path) => (monitors?.length ? [] : [requiredValue(`${path}.monitors`)]),
  quobyte: validateQuobyte,
  fc: validateFibreChannel,
  flexVolume: ({ driver, options = {} }, path) => [
    ...requireText(`${path}.driver`, driver),
    ...Object.keys(options)
      .sort()
      .filter((key) => /\.(?:kubernetes|k8s)\.io$/.test(`.${key.split("/")[0]!.toLowerCase()}`))
      .map((key) => invalidValue(`${path}.options[${key}]`, key, "kubernetes.io and k8s.io namespaces are reserved")),
  ],
  azureFile: ({ secretName, shareName }, path) => [
    ...requireText(`${path}.secretName`, secretName),
    ...requireText(`${path}.shareName`, shareName),
  ],
  vsphereVolume: ({ volumePath }, path) => requireText(`${path}.volumePath`, volumePath),
  photonPersistentDisk: ({ pdID }, path) => requireText(`${path}.pdID`, pdID),
  portworxVolume: ({ volumeID }, path) => requireText(`${path}.volumeID`, volumeID),
  azureDisk: validateAzureDisk,
  storageos: ({ volumeName = "", volumeNamespace = "", secretRef }, path) => [
    ...requireText(`${path}.volumeName`, volumeName),
    ...(volumeName ? invalidAll(`${path}.volumeName`, volumeName, dnsLabelErrors(volumeName)) : []),
    ...(volumeNamespace ? invalidAll(`${path}.volumeNamespace`, volumeNamespace, dnsLabelErrors(volumeNamespace)) : []),
    ...(secretRef ? requireText(`${path}.secretRef.name`, secretRef.name) : []),
  ],
  scaleIO: ({ gateway, system, volumeName }, path) => [
    ...requireText(`${path}.gateway`, gateway),
    ...requireText(`${path}.system`, system),
    ...requireText(`${path}.volumeName`, volumeName),
  ],
} satisfies Checks;

const iscsiForms: Readonly<Record<string, RegExp>> = {
  iqn: /iqn\.\d{4}-\d{2}\.([A-Za-z0-9-.]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[A-Za-z0-9]{16}$/,
  naa: /^naa.[A-Za-z0-9]{32}$/,
};

function checkIscsiName(field: string, name: string): FieldError[] {
  const form = iscsiForms[name.slice(0, 3)];
  if (!form) return [invalidValue(field, name, "must be valid format starting with iqn, eui, or naa")];
  return form.test(name) ? [] : [invalidValue(field, name, "must be valid format")];
}

function validateIscsi(source: NonNullable<Volume["iscsi"]>, path: string): FieldError[] {
  const { targetPortal, iqn, lun, chapAuthDiscovery, chapAuthSession, secretRef, initiatorName } = source;
  const errors = requireText(`${path}.targetPortal`, targetPortal);
  errors.push(...(iqn ? checkIscsiName(`${path}.iqn`, iqn) : [requiredValue(`${path}.iqn`)]));
  if (lun < 0 || lun > 255) errors.push(invalidValue(`${path}.lun`, lun, notBetween(0, 255)));
  if ((chapAuthDiscovery || chapAuthSession) && !secretRef) errors.push(requiredValue(`${path}.secretRef`));
  if (initiatorName !== undefined) errors.push(...checkIscsiName(`${path}.initiatorname`, initiatorName));
  return errors;
}

const pairs = "must be a host:port pair or multiple pairs separated by commas";

function validateQuobyte(
  { registry, tenant = "", volume }: NonNullable<Volume["quobyte"]>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!registry) errors.push(requiredValue(`${path}.registry`, pairs));
  else if (tenant.length >= 65) {
    errors.push(requiredValue(`${path}.tenant`, "must be a UUID and may not exceed a length of 64 characters"));
  } else {
    const wrong = registry.split(",").filter((pair) => !/^(?:[^:[\]]*|\[[^[\]]*\]):[^:[\]]*$/.test(pair));
    errors.push(...wrong.map(() => invalidValue(`${path}.registry`, registry, pairs)));
  }
  return [...errors, ...requireText(`${path}.volume`, volume)];
}

function validateFibreChannel({ targetWWNs, wwids, lun }: NonNullable<Volume["fc"]>, path: string): FieldError[] {
  const field = `${path}.targetWWNs`;
  if (!targetWWNs?.length) {
    return wwids?.length ? [] : [requiredValue(field, "must specify either targetWWNs or wwids, but not both")];
  }
  const errors = wwids?.length
    ? [invalidValue(field, targetWWNs, "targetWWNs and wwids can not be specified simultaneously")]
    : [];
  if (lun === undefined) errors.push(requiredValue(`${path}.lun`, "lun is required if targetWWNs is specified"));
  else if (lun < 0 || lun > 255) errors.push(invalidValue(`${path}.lun`, lun, notBetween(0, 255)));
  return errors;
}

const managedUri = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const blobUri = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

function validateAzureDisk(source: NonNullable<Volume["azureDisk"]>, path: string): FieldError[] {
  const { diskName, diskURI = "", cachingMode, kind } = source;
  const errors = [...requireText(`${path}.diskName`, diskName), ...requireText(`${path}.diskURI`, diskURI)];
  errors.push(...checkOneOf(`${path}.cachingMode`, cachingMode, ["None", "ReadOnly", "ReadWrite"]));
  errors.push(...checkOneOf(`${path}.kind`, kind, ["Dedicated", "Managed", "Shared"]));
  if (kind === undefined) return errors;
  const [prefix, form] = kind === "Managed" ? ["/subscriptions/", managedUri] : ["https://", blobUri];
  return diskURI.startsWith(prefix) ? errors : [...errors, notSupported(`${path}.diskURI`, diskURI, [form])];
}
