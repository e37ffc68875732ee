/**
 * Issues certificates for approved requests to Kubernetes' own signers (upstream's
 * certificatesigningrequest-signing-controller), and to the one for serving the API inside pods.
 */
import {
  apiServingError,
  type CertificateSigningRequest,
  certificateSigningRequests,
  clientUsagesError,
  hasCondition,
  kubeletClientError,
  kubeletServingError,
  signers,
} from "#api";
import { clone, formatTime, ignoreNotFound, ignoreReasons, messageOf } from "#base";
import type { Client } from "#client";
import { type Controller, type ControllerContext, defineController, type Key, Terminal } from "#reconcile";
import { type CertificateRequest, parseRequest, textOf } from "#x509";
import { apiAddresses } from "../api-addresses.ts";

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

/** Why a signer does not issue a certificate for a request with these usages. */
type Refusal = (
  parsed: CertificateRequest,
  usages: readonly string[],
  client: Client,
) => string | undefined | Promise<string | undefined>;

/** By the signer's name. */
const refusals: Readonly<Record<string, Refusal>> = {
  [signers.kubeletServing]: kubeletServingError,
  [signers.kubeletClient]: kubeletClientError,
  [signers.apiServerClient]: (_, usages) => clientUsagesError(usages),
  [signers.legacyUnknown]: () => undefined,
  [signers.apiServing]: async (parsed, usages, client) => apiServingError(parsed, usages, await apiAddresses(client)),
};

const isDue = (request: CertificateSigningRequest): boolean =>
  !request.status?.certificate &&
  hasCondition(request, "Approved") &&
  !hasCondition(request, "Denied") &&
  !hasCondition(request, "Failed") &&
  Object.hasOwn(refusals, request.spec?.signerName ?? "");

export interface Signers {
  /** Of Kubernetes' own signers. */
  sign?: CertificateSigner;
  /** Of the signer for serving the API inside pods. */
  signApiServing?: CertificateSigner;
}

/**
 * Where the process has no authority for a signer, approved requests fail with a condition that says so. Upstream's
 * signer does not run then, and requests wait for ever.
 */
export const csrSigningController = (using: Signers): Controller<CertificateSigningRequest> =>
  defineController<CertificateSigningRequest>({
    name: "csrsigning",
    for: certificateSigningRequests,
    concerns: ({ object }) => isDue(object),
    reconcile: (context, key) => reconcile(context, key, using),
  });

async function reconcile({ client, clock }: ControllerContext, key: Key, using: Signers): Promise<void> {
  const request = await ignoreNotFound(client.get(certificateSigningRequests, key));
  if (!request?.spec || !isDue(request)) return;
  const { usages = [], signerName, expirationSeconds = longestValidity } = request.spec;
  const parsed = parsedOf(request);
  const next = clone(request);
  const sign = signerName === signers.apiServing ? using.signApiServing : using.sign;
  const refusal = await refusals[signerName]!(parsed, usages, client);
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
