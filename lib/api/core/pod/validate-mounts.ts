/** Rules for what containers mount. */
import {
  checkOneOf,
  type FieldError,
  forbiddenValue,
  invalidValue,
  notFoundValue,
  notSupported,
  requiredValue,
  requireText,
} from "../../meta/index.ts";
import type { Container, VolumeDevice, VolumeMount } from "./container.ts";
import { checkDescendingPath, checkNoBacksteps } from "./paths.ts";
import type { Volume } from "./volume.ts";

type Volumes = ReadonlyMap<string, Volume>;

// Upstream leaves the index out of the fields of sub-paths, propagation and recursion: so do these.
export function validateMounts(container: Container, volumes: Volumes, path: string): FieldError[] {
  const { volumeMounts = [], volumeDevices = [] } = container;
  const privileged = container.securityContext?.privileged ?? false;
  const errors: FieldError[] = [];
  const places = new Set<string>();
  for (const [index, mount] of volumeMounts.entries()) {
    const at = `${path}[${index}]`;
    const { name = "", mountPath = "" } = mount;
    errors.push(...requireText(`${at}.name`, name));
    if (!volumes.has(name)) errors.push(notFoundValue(`${at}.name`, name));
    errors.push(...requireText(`${at}.mountPath`, mountPath));
    if (places.has(mountPath)) errors.push(invalidValue(`${at}.mountPath`, mountPath, "must be unique"));
    places.add(mountPath);
    if (volumeDevices.some((device) => device.name === name)) {
      errors.push(invalidValue(`${at}.name`, name, "must not already exist in volumeDevices"));
    }
    if (volumeDevices.some((device) => device.devicePath === mountPath)) {
      errors.push(invalidValue(`${at}.mountPath`, mountPath, "must not already exist as a path in volumeDevices"));
    }
    errors.push(...validateSubPaths(mount, at, path));
    errors.push(...validatePropagation(mount, privileged, `${path}.mountPropagation`));
    errors.push(...validateRecursion(mount, `${path}.recursiveReadOnly`));
  }
  return errors;
}

function validateSubPaths({ subPath, subPathExpr }: VolumeMount, at: string, path: string): FieldError[] {
  const errors = subPath ? checkDescendingPath(`${path}.subPath`, subPath) : [];
  if (!subPathExpr) return errors;
  if (subPath) {
    errors.push(invalidValue(`${at}.subPathExpr`, subPathExpr, "subPathExpr and subPath are mutually exclusive"));
  }
  return [...errors, ...checkDescendingPath(`${path}.subPathExpr`, subPathExpr)];
}

function validatePropagation({ mountPropagation }: VolumeMount, privileged: boolean, field: string): FieldError[] {
  const errors = checkOneOf(field, mountPropagation, ["Bidirectional", "HostToContainer", "None"]);
  if (mountPropagation === "Bidirectional" && !privileged) {
    const why = "Bidirectional mount propagation is available only to privileged containers";
    errors.push(forbiddenValue(field, why));
  }
  return errors;
}

function validateRecursion(mount: VolumeMount, field: string): FieldError[] {
  const { recursiveReadOnly: mode, readOnly, mountPropagation } = mount;
  if (mode === undefined || mode === "Disabled") return [];
  if (mode !== "Enabled" && mode !== "IfPossible") {
    return [notSupported(field, mode, ["Disabled", "Enabled", "IfPossible"])];
  }
  const errors = readOnly ? [] : [forbiddenValue(field, "may only be specified when readOnly is true")];
  if (mountPropagation !== undefined && mountPropagation !== "None") {
    errors.push(forbiddenValue(field, "may only be specified when mountPropagation is None or not specified"));
  }
  return errors;
}

export function validateDevices(
  devices: readonly VolumeDevice[],
  mounts: readonly VolumeMount[],
  volumes: Volumes,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const places = new Set<string>();
  for (const [index, { name = "", devicePath = "" }] of devices.entries()) {
    const at = `${path}[${index}]`;
    const volume = volumes.get(name);
    if (!name) errors.push(requiredValue(`${at}.name`));
    if (names.has(name)) errors.push(invalidValue(`${at}.name`, name, "must be unique"));
    if (!volume) errors.push(notFoundValue(`${at}.name`, name));
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
      const why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
      errors.push(invalidValue(`${at}.name`, name, why));
    }
    errors.push(...requireText(`${at}.devicePath`, devicePath));
    if (places.has(devicePath)) errors.push(invalidValue(`${at}.devicePath`, devicePath, "must be unique"));
    if (checkNoBacksteps("", devicePath).length > 0) {
      errors.push(invalidValue(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    } else places.add(devicePath);
    if (mounts.some((mount) => mount.name === name)) {
      errors.push(invalidValue(`${at}.name`, name, "must not already exist in volumeMounts"));
    }
    if (mounts.some((mount) => mount.mountPath === devicePath)) {
      errors.push(invalidValue(`${at}.devicePath`, devicePath, "must not already exist as a path in volumeMounts"));
    }
    if (name) names.add(name);
  }
  return errors;
}
