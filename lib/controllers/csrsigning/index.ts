/**
 * Issues certificates for approved requests to Kubernetes' own signers (upstream's
 * certificatesigningrequest-signing-controller).
 */
import {
  type CertificateSigningRequest,
  certificateSigningRequests,
  clientUsagesError,
  hasCondition,
  kubeletClientError,
  kubeletServingError,
  signers,
} from "#api";
import { clone, formatTime, ignoreNotFound, ignoreReasons, messageOf } from "#base";
import { type Controller, type ControllerContext, defineController, type Key, Terminal } from "#reconcile";
import { type CertificateRequest, parseRequest, textOf } from "#x509";

/** The usages and the validity of a certificate. */
export interface Issued {
  usages: readonly string[];
  /** The validity in seconds. */
  seconds: number;
}

/** Issues the certificate of a request by the cluster's authority, in PEM. */
export type CertificateSigner = (request: CertificateRequest, issued: Issued) => Promise<string>;

/** A year, the longest validity (kube-controller-manager's --cluster-signing-duration). */
const longestValidity = 365 * 24 * 3600;
const shortestValidity = 600;

/** Why a signer does not issue a certificate for a request, by the signer's name. */
const refusals: Readonly<
  Record<string, (parsed: CertificateRequest, usages: readonly string[]) => string | undefined>
> = {
  [signers.kubeletServing]: kubeletServingError,
  [signers.kubeletClient]: kubeletClientError,
  [signers.apiServerClient]: (_, usages) => clientUsagesError(usages),
  [signers.legacyUnknown]: () => undefined,
};

const isDue = (request: CertificateSigningRequest): boolean =>
  !request.status?.certificate &&
  hasCondition(request, "Approved") &&
  !hasCondition(request, "Denied") &&
  !hasCondition(request, "Failed") &&
  Object.hasOwn(refusals, request.spec?.signerName ?? "");

/**
 * Without `sign`, where the process has no authority, approved requests fail with a condition that says so. Upstream's
 * signer does not run then, and requests wait for ever.
 */
export const csrSigningController = (sign: CertificateSigner | undefined): Controller<CertificateSigningRequest> =>
  defineController<CertificateSigningRequest>({
    name: "csrsigning",
    for: certificateSigningRequests,
    concerns: ({ object }) => isDue(object),
    reconcile: (context, key) => reconcile(context, key, sign),
  });

async function reconcile(
  { client, clock }: ControllerContext,
  key: Key,
  sign: CertificateSigner | undefined,
): Promise<void> {
  const request = await ignoreNotFound(client.get(certificateSigningRequests, key));
  if (!request?.spec || !isDue(request)) return;
  const { usages = [], signerName, expirationSeconds = longestValidity } = request.spec;
  const parsed = parsedOf(request);
  const next = clone(request);
  const refusal = refusals[signerName]!(parsed, usages);
  if (sign === undefined) {
    const message = `the signer ${signerName} issues no certificates in this cluster: it has no certificate authority`;
    next.status = withFailure(next, { reason: "SignerNotAvailable", message, time: clock.now() });
  } else if (refusal !== undefined) {
    next.status = withFailure(next, { reason: "SignerValidationFailure", message: refusal, time: clock.now() });
  } else {
    const seconds = Math.min(Math.max(expirationSeconds, shortestValidity), longestValidity);
    const certificate = await sign(parsed, { usages, seconds });
    next.status = { ...next.status, certificate: btoa(certificate) };
  }
  // A conflict: the request has changed, which triggers the key again.
  const update = client.update(certificateSigningRequests, next, { subresource: "status" });
  await ignoreReasons(["NotFound", "Conflict"], update);
}

interface Failure {
  reason: string;
  message: string;
  /** In milliseconds. */
  time: number;
}

function withFailure({ status }: CertificateSigningRequest, { reason, message, time }: Failure) {
  const failed = { type: "Failed", status: "True", reason, message, lastUpdateTime: formatTime(time) };
  return { ...status, conditions: [...(status?.conditions ?? []), failed] };
}

function parsedOf({ metadata, spec }: CertificateSigningRequest): CertificateRequest {
  try {
    return parseRequest(textOf(spec?.request ?? ""));
  } catch (error) {
    throw new Terminal(`unable to parse csr "${metadata.name}": ${messageOf(error)}`);
  }
}
