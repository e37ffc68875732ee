/** Rules for projected volumes that carry certificates: ClusterTrustBundles and certificates of the pod's own. */
import {
  dnsLabelErrors,
  dnsSubdomainErrors,
  type FieldError,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  maximumAnnotations,
  notSupported,
  requiredValue,
  sizeOfAnnotations,
  tooLong,
  validateLabelSelector,
} from "../../meta/index.ts";
import { checkLocalPath } from "./paths.ts";
import type { ClusterTrustBundleProjection, PodCertificateProjection } from "./projected-volume.ts";

/** Reports a file that another source already makes. */
type Claim = (file: string) => FieldError[];

const longestDomain = 253;
const longestSigner = 253 + 1 + 253 + 63 + 1;

/** The name of a signer: a domain and a path, such as `example.com/signer` (upstream's ValidateSignerName). */
function validateSignerName(name: string, field: string): FieldError[] {
  if (name === "") return [requiredValue(field)];
  const segments = name.split("/");
  if (segments.length !== 2) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidValue(field, name, why)];
  }
  const [domain = "", path = ""] = segments;
  const errors: FieldError[] = domain.length > longestDomain ? [tooLong(field, longestDomain)] : [];
  const labels = domain.split(".");
  errors.push(...firstWrong(field, domain, labels, dnsLabelErrors));
  if (labels.length < 2) {
    errors.push(invalidValue(field, domain, "should be a domain with at least two segments separated by dots"));
  }
  errors.push(...firstWrong(field, path, path.split("."), dnsSubdomainErrors));
  if (name.length > longestSigner) errors.push(tooLong(field, longestSigner));
  return errors;
}

/** What is wrong with the first label that is wrong: of the others it would be the same. */
function firstWrong(field: string, whole: string, labels: readonly string[], check: (label: string) => string[]) {
  const wrong = labels.find((label) => check(label).length > 0);
  if (wrong === undefined) return [];
  return check(wrong).map((why) => invalidValue(field, whole, `validating label ${JSON.stringify(wrong)}: ${why}`));
}

/** A bundle of a signer is called after it: `<domain>:<path>:<name>`. */
function bundleNameErrors(name: string): string[] {
  const end = name.lastIndexOf(":");
  return dnsSubdomainErrors(end < 0 ? name : name.slice(end + 1)).map(
    (why) => `not a valid clustertrustbundlename: ${why}`,
  );
}

export function validateTrustBundle(source: ClusterTrustBundleProjection, at: string, claim: Claim): FieldError[] {
  const { name, signerName, labelSelector, path } = source;
  const errors: FieldError[] = [];
  if (name !== undefined && signerName !== undefined) {
    errors.push(invalidValue(at, source, "only one of name and signerName may be used"));
  } else if (name !== undefined) {
    if (name === "") errors.push(requiredValue(`${at}.name`, "must be a valid object name"));
    errors.push(...invalidAll(`${at}.name`, name, bundleNameErrors(name)));
    if (labelSelector) {
      errors.push(
        invalidValue(`${at}.labelSelector`, labelSelector, "labelSelector must be unset if name is specified"),
      );
    }
  } else if (signerName !== undefined) {
    if (signerName === "") errors.push(requiredValue(`${at}.signerName`, "must be a valid signer name"));
    errors.push(...validateSignerName(signerName, `${at}.signerName`));
    errors.push(...validateLabelSelector(labelSelector, `${at}.labelSelector`));
  } else errors.push(requiredValue(at, "either name or signerName must be specified"));
  if (path === "") errors.push(requiredValue(`${at}.path`));
  return [...errors, ...checkLocalPath(`${at}.path`, path), ...claim(path)];
}

const keyTypes = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
/** Seconds: an hour, and 91 days, of which Kubernetes' own signers give one. */
const shortest = 3600;
const longest = 91 * 86_400;
const longestOfOurs = 86_400;

const isOurs = (signer: string): boolean => /^(?:[^/]*\.)?kubernetes\.io\//.test(signer);

export function validatePodCertificate(source: PodCertificateProjection, at: string, claim: Claim): FieldError[] {
  const { signerName, keyType, maxExpirationSeconds: seconds, userAnnotations } = source;
  const errors = validateSignerName(signerName, `${at}.signerName`);
  if (userAnnotations) errors.push(...validateUserAnnotations(userAnnotations, `${at}.userAnnotations`));
  if (!keyTypes.includes(keyType)) errors.push(notSupported(`${at}.keyType`, keyType, keyTypes));
  if (seconds !== undefined) {
    const field = `${at}.maxExpirationSeconds`;
    const most = isOurs(signerName) ? longestOfOurs : longest;
    const wrong = (how: string) => invalidValue(field, seconds, `if provided, maxExpirationSeconds must be ${how}`);
    if (seconds < shortest) errors.push(wrong(`>= ${shortest}`));
    if (seconds > most) errors.push(wrong(`<= ${most}`));
  }
  const files = ["credentialBundlePath", "keyPath", "certificateChainPath"] as const;
  for (const name of files) {
    const file = source[name];
    if (file) errors.push(...checkLocalPath(`${at}.${name}`, file), ...claim(file));
  }
  if (files.some((name) => source[name])) return errors;
  return [
    ...errors,
    requiredValue(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
  ];
}

/** Keys with a domain, as those of annotations in either case, and 256 KiB for all. */
function validateUserAnnotations(annotations: Readonly<Record<string, string>>, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of Object.keys(annotations).sort()) {
    const lower = key.toLowerCase();
    if (lower === "") errors.push(requiredValue(field));
    errors.push(...invalidAll(field, lower, lower === "" ? [] : labelKeyErrors(lower)));
    if (lower !== "" && lower.split("/").length !== 2) {
      errors.push(invalidValue(field, lower, 'must be a domain-prefixed key (such as "acme.io/foo")'));
    }
  }
  return sizeOfAnnotations(annotations) > maximumAnnotations ? [...errors, tooLong(field, maximumAnnotations)] : errors;
}
