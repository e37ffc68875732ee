/**
 * Deletes certificate signing requests that are decided, answered or pending for long (upstream's
 * certificatesigningrequest-cleaner-controller).
 */
import { type CertificateSigningRequest, certificateSigningRequests } from "#api";
import { ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";
import { expiryOf, textOf } from "#x509";

const hour = 3_600_000;
/** After this time requests are deleted that are issued, denied or failed. */
const decidedTime = hour;
/** After this time requests are deleted on which no signer or approver has acted. */
const pendingTime = 24 * hour;

export const csrCleanerController = defineController<CertificateSigningRequest>({
  name: "csrcleaner",
  for: certificateSigningRequests,
  reconcile,
});

async function reconcile({ client, clock }: ControllerContext, key: Key): Promise<Result | undefined> {
  const request = await ignoreNotFound(client.get(certificateSigningRequests, key));
  if (!request || request.metadata.deletionTimestamp) return undefined;
  const due = deadlineOf(request);
  if (due === Number.POSITIVE_INFINITY) return undefined;
  const left = due - clock.now();
  if (left > 0) return { requeueAfter: Math.min(left, pendingTime) };
  const { uid, resourceVersion: revision } = request.metadata;
  // A conflict: the request has changed, which triggers the key again.
  const removed = client.delete(certificateSigningRequests, key, { uid, revision });
  await ignoreReasons(["NotFound", "Conflict"], removed);
  return undefined;
}

/** When a request is to be deleted, in milliseconds; infinity for never. */
function deadlineOf({ metadata, status }: CertificateSigningRequest): number {
  const { conditions = [], certificate } = status ?? {};
  const after = (time: string | undefined, wait: number): number =>
    time === undefined ? Number.POSITIVE_INFINITY : parseTime(time) + wait;
  if (conditions.length === 0) return after(metadata.creationTimestamp, pendingTime);
  const expiry = certificate ? expiryOf(textOf(certificate)) : undefined;
  const deadlines = conditions.flatMap(({ type, lastUpdateTime }) => {
    if (type === "Denied" || type === "Failed") return [after(lastUpdateTime, decidedTime)];
    if (type !== "Approved") return [];
    return [after(lastUpdateTime, certificate ? decidedTime : pendingTime), expiry ?? Number.POSITIVE_INFINITY];
  });
  return Math.min(Number.POSITIVE_INFINITY, ...deadlines);
}
