import type { CertificateRequest } from "#x509";
import {
  dnsLabelErrors,
  dnsSubdomainErrors,
  type FieldError,
  invalidValue,
  requiredValue,
  tooLong,
} from "../meta/index.ts";

/** The signers of a control plane. */
export const signers = {
  apiServerClient: "kubernetes.io/kube-apiserver-client",
  kubeletClient: "kubernetes.io/kube-apiserver-client-kubelet",
  kubeletServing: "kubernetes.io/kubelet-serving",
  legacyUnknown: "kubernetes.io/legacy-unknown",
  /** Not of Kubernetes: certificates by which nodes serve the API inside their pods, where no API server can. */
  apiServing: "skiff.dev/api-serving",
} as const;

/** The names by which pods know the API server, as kubeadm has them in its certificate; its address comes beside them. */
export const apiServerNames: readonly string[] = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

const domainLength = 253;
const signerLength = 571;

/** Upstream's ValidateSignerName: a domain of at least two labels, a slash and a path. */
export function validateSignerName(field: string, name: string): FieldError[] {
  if (name === "") return [requiredValue(field)];
  const [domain = "", path, ...others] = name.split("/");
  if (path === undefined || others.length > 0) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidValue(field, name, why)];
  }
  const labels = domain.split(".");
  const errors: FieldError[] = domain.length > domainLength ? [tooLong(field, domainLength)] : [];
  errors.push(...firstWrong(field, domain, labels, dnsLabelErrors));
  if (labels.length < 2) {
    errors.push(invalidValue(field, domain, "should be a domain with at least two segments separated by dots"));
  }
  errors.push(...firstWrong(field, path, path.split("."), dnsSubdomainErrors));
  return name.length > signerLength ? [...errors, tooLong(field, signerLength)] : errors;
}

/** The errors of the first malformed label. */
function firstWrong(
  field: string,
  whole: string,
  labels: readonly string[],
  errorsOf: (label: string) => string[],
): FieldError[] {
  for (const label of labels) {
    const errors = errorsOf(label).map((error) => invalidValue(field, whole, `validating label "${label}": ${error}`));
    if (errors.length > 0) return errors;
  }
  return [];
}

const nodes = "system:nodes";
const nodePrefix = "system:node:";

const isSame = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((item) => right.includes(item));

/** The usages besides `purpose`, with and without the one that RSA keys need. */
function usageError(usages: readonly string[], purpose: string): string | undefined {
  const given = [...new Set(usages)];
  const all = ["digital signature", "key encipherment", purpose].sort((left, right) => (left < right ? -1 : 1));
  const withoutRsa = all.filter((usage) => usage !== "key encipherment");
  return isSame(given, all) || isSame(given, withoutRsa) ? undefined : `usages did not match [${all.join(" ")}]`;
}

const isOfNodes = ({ organizations }: CertificateRequest): boolean => isSame(organizations, [nodes]);
const notOfNodes = "subject organization is not system:nodes";
const notANode = "subject common name does not begin with system:node:";

/** Why a request is not one for a kubelet's client certificate; undefined for one that is (ValidateKubeletClientCSR). */
export function kubeletClientError(request: CertificateRequest, usages: readonly string[]): string | undefined {
  if (!isOfNodes(request)) return notOfNodes;
  if (request.dnsNames.length > 0) return "DNS subjectAltNames are not allowed";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.ipAddresses.length > 0) return "IP subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  if (!request.commonName.startsWith(nodePrefix)) return notANode;
  return usageError(usages, "client auth");
}

/** As `kubeletClientError`, for a kubelet's serving certificate (ValidateKubeletServingCSR). */
export function kubeletServingError(request: CertificateRequest, usages: readonly string[]): string | undefined {
  if (!isOfNodes(request)) return notOfNodes;
  if (request.dnsNames.length === 0 && request.ipAddresses.length === 0) return "DNS or IP subjectAltName is required";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  return usageError(usages, "server auth") ?? (request.commonName.startsWith(nodePrefix) ? undefined : notANode);
}

/**
 * As `kubeletClientError`, for the certificate by which a node serves the API inside its pods: exactly the names of the
 * API server, and the addresses of its service.
 */
export function apiServingError(
  request: CertificateRequest,
  usages: readonly string[],
  addresses: readonly string[],
): string | undefined {
  if (!isOfNodes(request)) return notOfNodes;
  if (!isSame(request.dnsNames, apiServerNames)) return `DNS subjectAltNames are not [${apiServerNames.join(" ")}]`;
  if (!isSame(request.ipAddresses, addresses)) return "IP subjectAltNames are not those of the service kubernetes";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  return usageError(usages, "server auth") ?? (request.commonName.startsWith(nodePrefix) ? undefined : notANode);
}

/** As `kubeletClientError`, for any client certificate (validAPIServerClientUsages). */
export function clientUsagesError(usages: readonly string[]): string | undefined {
  const allowed = ["digital signature", "key encipherment", "client auth"];
  const wrong = usages.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined) return `invalid usage for client certificate: ${wrong}`;
  return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
}
