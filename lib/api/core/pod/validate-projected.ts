/** Rules for projected volumes and for the downward API. */
import { type FieldError, forbiddenValue, invalidValue, requiredValue, requireText } from "../../meta/index.ts";
import { checkKeyToPath, checkLocalPath, checkMode } from "./paths.ts";
import type { ProjectedVolumeSource, VolumeProjection } from "./projected-volume.ts";
import { validatePodCertificate, validateTrustBundle } from "./validate-certificates.ts";
import { validateFieldRef, validateResourceRef, volumeFields } from "./validate-env.ts";
import type { DownwardAPIVolumeFile } from "./volume-file.ts";

export function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const { path: name = "", fieldRef, resourceFieldRef, mode } = file;
  const errors = [...requireText(`${path}.path`, name), ...checkLocalPath(`${path}.path`, name)];
  if (fieldRef) {
    errors.push(...validateFieldRef(fieldRef, volumeFields, `${path}.fieldRef`));
    if (resourceFieldRef) {
      const why = "fieldRef and resourceFieldRef can not be specified simultaneously";
      errors.push(invalidValue(path, "resource", why));
    }
  } else if (resourceFieldRef) errors.push(...validateResourceRef(resourceFieldRef, `${path}.resourceFieldRef`, true));
  else errors.push(requiredValue(path, "one of fieldRef and resourceFieldRef is required"));
  return [...errors, ...checkMode(`${path}.mode`, mode)];
}

export function validateProjected({ sources = [], defaultMode }: ProjectedVolumeSource, path: string): FieldError[] {
  const errors = checkMode(`${path}.defaultMode`, defaultMode);
  const taken = new Set<string>();
  for (const [index, source] of sources.entries()) {
    const at = `${path}.sources[${index}]`;
    errors.push(...validateSource(source, { path, at, taken }));
    if (Object.values(source).filter((part) => part !== undefined).length > 1) {
      errors.push(forbiddenValue(at, "may not specify more than 1 volume type per source"));
    }
  }
  return errors;
}

interface Place {
  path: string;
  at: string;
  /** The files that earlier sources make. */
  taken: Set<string>;
}

/** Reports a file that another source already makes; `shown` is what upstream prints. */
function claim({ path, taken }: Place, file: string, shown: string): FieldError[] {
  if (taken.has(file)) return [invalidValue(path, shown, "conflicting duplicate paths")];
  taken.add(file);
  return [];
}

function validateSource(source: VolumeProjection, place: Place): FieldError[] {
  const { secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = source;
  const errors: FieldError[] = [];
  if (secret) errors.push(...validateItems(secret, `${place.at}.secret`, place));
  if (configMap) errors.push(...validateItems(configMap, `${place.at}.configMap`, place));
  for (const file of downwardAPI?.items ?? []) {
    errors.push(...validateDownwardFile(file, `${place.at}.downwardAPI`));
    if (file.path) errors.push(...claim(place, file.path, file.path));
  }
  if (serviceAccountToken) errors.push(...validateToken(serviceAccountToken, place));
  const claims = (file: string) => claim(place, file, file);
  if (clusterTrustBundle) {
    errors.push(...validateTrustBundle(clusterTrustBundle, `${place.at}.clusterTrustBundle`, claims));
  }
  if (podCertificate) errors.push(...validatePodCertificate(podCertificate, `${place.at}.podCertificate`, claims));
  return errors;
}

type Items = NonNullable<VolumeProjection["secret"]>;

function validateItems({ name = "", items = [] }: Items, path: string, place: Place): FieldError[] {
  const errors = requireText(`${path}.name`, name);
  for (const [index, item] of items.entries()) {
    errors.push(...checkKeyToPath(`${path}.items[${index}]`, item));
    if (item.path) errors.push(...claim(place, item.path, name));
  }
  return errors;
}

function validateToken(
  { expirationSeconds = 3600, path: file }: NonNullable<VolumeProjection["serviceAccountToken"]>,
  { path, at }: Place,
): FieldError[] {
  const field = `${at}.serviceAccountToken.expirationSeconds`;
  const errors: FieldError[] = [];
  if (expirationSeconds < 600) {
    errors.push(invalidValue(field, expirationSeconds, "may not specify a duration less than 10 minutes"));
  }
  if (expirationSeconds > 2 ** 32) {
    errors.push(invalidValue(field, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  }
  return [...errors, ...(file ? checkLocalPath(`${path}.path`, file) : [requiredValue(`${path}.path`)])];
}
