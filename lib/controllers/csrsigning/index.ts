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

/** Without `sign`, where the process has no authority, requests stay unsigned. */
export const csrSigningController = (sign: CertificateSigner | undefined): Controller<CertificateSigningRequest> =>
  defineController<CertificateSigningRequest>({
    name: "csrsigning",
    for: certificateSigningRequests,
    concerns: ({ object }) => sign !== undefined && isDue(object),
    reconcile: async (context, key) => (sign ? reconcile(context, key, sign) : undefined),
  });

async function reconcile({ client, clock }: ControllerContext, key: Key, sign: CertificateSigner): Promise<void> {
  const request = await ignoreNotFound(client.get(certificateSigningRequests, key));
  if (!request?.spec || !isDue(request)) return;
  const { usages = [], signerName, expirationSeconds = longestValidity } = request.spec;
  const parsed = parsedOf(request);
  const next = clone(request);
  const refusal = refusals[signerName]!(parsed, usages);
  if (refusal === undefined) {
    const seconds = Math.min(Math.max(expirationSeconds, shortestValidity), longestValidity);
    const certificate = await sign(parsed, { usages, seconds });
    next.status = { ...next.status, certificate: btoa(certificate) };
  } else {
    const failed = {
      type: "Failed",
      status: "True",
      reason: "SignerValidationFailure",
      message: refusal,
      lastUpdateTime: formatTime(clock.now()),
    };
    next.status = { ...next.status, conditions: [...(next.status?.conditions ?? []), failed] };
  }
  // A conflict: the request has changed, which triggers the key again.
  const update = client.update(certificateSigningRequests, next, { subresource: "status" });
  await ignoreReasons(["NotFound", "Conflict"], update);
}

function parsedOf({ metadata, spec }: CertificateSigningRequest): CertificateRequest {
  try {
    return parseRequest(textOf(spec?.request ?? ""));
  } catch (error) {
    throw new Terminal(`unable to parse csr "${metadata.name}": ${messageOf(error)}`);
  }
}
