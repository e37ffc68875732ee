/**
 * Approves requests for kubelets' client certificates whose creators may have them approved (upstream's
 * certificatesigningrequest-approving-controller), and nodes' own requests for serving the API inside their pods.
 */
import {
  apiServingError,
  type CertificateSigningRequest,
  certificateSigningRequests,
  hasCondition,
  kubeletClientError,
  type SubjectAccessReview,
  signers,
  subjectAccessReviews,
} from "#api";
import { clone, ignoreNotFound, ignoreReasons, messageOf, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result, Terminal } from "#reconcile";
import { type CertificateRequest, parseRequest, textOf } from "#x509";
import { apiAddresses } from "../api-addresses.ts";

const second = 1000;
/** The longest wait between two reviews of the creator's rights. */
const longestWait = 1000 * second;

const isOpen = (request: CertificateSigningRequest): boolean =>
  !request.status?.certificate && !hasCondition(request, "Approved") && !hasCondition(request, "Denied");

export const csrApprovingController = defineController<CertificateSigningRequest>({
  name: "csrapproving",
  for: certificateSigningRequests,
  concerns: ({ object }) => isOpen(object),
  reconcile,
});

/** What makes a request one that is approved by itself, and the subresource that its creator must be able to create. */
interface Recognizer {
  subresource: string;
  recognizes(request: CertificateSigningRequest, parsed: CertificateRequest): boolean;
  message: string;
}

const isNodeClient: Recognizer["recognizes"] = ({ spec }, parsed) =>
  spec?.signerName === signers.kubeletClient && kubeletClientError(parsed, spec.usages ?? []) === undefined;

const recognizers: readonly Recognizer[] = [
  {
    subresource: "selfnodeclient",
    recognizes: (request, parsed) => request.spec?.username === parsed.commonName && isNodeClient(request, parsed),
    message: "Auto approving self kubelet client certificate after SubjectAccessReview.",
  },
  {
    subresource: "nodeclient",
    recognizes: isNodeClient,
    message: "Auto approving kubelet client certificate after SubjectAccessReview.",
  },
];

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client, clock } = context;
  const request = await ignoreNotFound(client.get(certificateSigningRequests, key));
  if (!request || !isOpen(request)) return undefined;
  const parsed = parsedOf(request);
  if (request.spec?.signerName === signers.apiServing) {
    if (await isNodesOwnServing(context, request, parsed)) await approve(context, request, servingMessage);
    return undefined;
  }
  const recognized = recognizers.filter(({ recognizes }) => recognizes(request, parsed));
  for (const { subresource, message } of recognized) {
    if (await isAllowed(context, request, subresource)) return approve(context, request, message);
  }
  if (recognized.length === 0) return undefined;
  // The rights may be granted later: the waits grow with the age of the request.
  const age = clock.now() - parseTime(request.metadata.creationTimestamp!);
  return { requeueAfter: Math.min(Math.max(age, second), longestWait) };
}

const servingMessage = "Auto approving the node's own certificate for serving the API inside its pods.";

/** Whether a node asks for itself, and for the names and addresses of the API alone. */
async function isNodesOwnServing(
  { client }: ControllerContext,
  { spec }: CertificateSigningRequest,
  parsed: CertificateRequest,
): Promise<boolean> {
  // The API server has set both from the creator's identity.
  if (spec?.username !== parsed.commonName || !spec.groups?.includes("system:nodes")) return false;
  return apiServingError(parsed, spec.usages ?? [], await apiAddresses(client)) === undefined;
}

async function approve(
  { client }: ControllerContext,
  request: CertificateSigningRequest,
  message: string,
): Promise<undefined> {
  const next = clone(request);
  const conditions = next.status?.conditions ?? [];
  const approved = { type: "Approved", status: "True", reason: "AutoApproved", message };
  next.status = { ...next.status, conditions: [...conditions, approved] };
  // A conflict: the request has changed, which triggers the key again.
  const update = client.update(certificateSigningRequests, next, { subresource: "approval" });
  await ignoreReasons(["NotFound", "Conflict"], update);
}

function parsedOf({ metadata, spec }: CertificateSigningRequest): CertificateRequest {
  try {
    return parseRequest(textOf(spec?.request ?? ""));
  } catch (error) {
    throw new Terminal(`unable to parse csr "${metadata.name}": ${messageOf(error)}`);
  }
}

/** Whether the creator of a request may create a subresource of requests. */
async function isAllowed(
  { client }: ControllerContext,
  { spec }: CertificateSigningRequest,
  subresource: string,
): Promise<boolean> {
  const { group, plural } = certificateSigningRequests;
  const review: SubjectAccessReview = {
    metadata: {},
    spec: {
      user: spec?.username,
      uid: spec?.uid,
      groups: spec?.groups,
      extra: spec?.extra,
      resourceAttributes: { group, version: "*", resource: plural, subresource, verb: "create" },
    },
  };
  return (await client.create(subjectAccessReviews, review)).status?.allowed ?? false;
}
