import type * as z from "zod";
import { formatTime } from "#base";
import { userInfo } from "../authentication/index.ts";
import {
  ageColumn,
  bytes,
  defineKind,
  type HookContext,
  humanDuration,
  int32,
  list,
  map,
  message,
  metadataField,
  nameColumn,
  optional,
  required,
  string,
  time,
} from "../meta/index.ts";
import { usages } from "./usages.ts";
import { validateApproval, validateNew, validateStatus, validateUpdate } from "./validate.ts";

export const CertificateSigningRequestSpec = message(
  "io.k8s.api.certificates.v1.CertificateSigningRequestSpec",
  () => ({
    request: required(1, bytes, "The PKCS #10 request in a PEM block of type CERTIFICATE REQUEST.", {
      isPointer: true,
    }),
    signerName: required(7, string, "The qualified name of the signer that issues the certificate."),
    expirationSeconds: optional(8, int32, "The requested validity, at least 600; a signer may issue another one.", {
      isPointer: true,
    }),
    usages: optional(5, list(string), "The requested key usages.", { list: "atomic", values: usages }),
    username: optional(2, string, "The name of the user that created the request, set by the server."),
    uid: optional(3, string, "The uid of the user that created the request, set by the server."),
    groups: optional(4, list(string), "The groups of the user that created the request, set by the server.", {
      list: "atomic",
    }),
    extra: optional(
      6,
      map(list(string)),
      "Further attributes of the user that created the request, set by the server.",
    ),
  }),
);
export type CertificateSigningRequestSpec = z.infer<typeof CertificateSigningRequestSpec>;

export const CertificateSigningRequestCondition = message(
  "io.k8s.api.certificates.v1.CertificateSigningRequestCondition",
  () => ({
    type: required(1, string, "Approved, Denied, Failed, or a type of the signer's own."),
    status: required(6, string, "True, False or Unknown; always True for Approved, Denied and Failed."),
    reason: optional(2, string, "Machine-readable reason."),
    message: optional(3, string, "Human-readable message."),
    lastUpdateTime: optional(4, time, "When the condition was last updated.", { printed: true }),
    lastTransitionTime: optional(5, time, "When the status last changed.", { printed: true }),
  }),
);
export type CertificateSigningRequestCondition = z.infer<typeof CertificateSigningRequestCondition>;

export const CertificateSigningRequestStatus = message(
  "io.k8s.api.certificates.v1.CertificateSigningRequestStatus",
  () => ({
    conditions: optional(1, list(CertificateSigningRequestCondition), "Whether it is approved, denied or failed.", {
      list: "map",
      keys: ["type"],
    }),
    certificate: optional(2, bytes, "The issued certificate and its intermediates in PEM."),
  }),
);
export type CertificateSigningRequestStatus = z.infer<typeof CertificateSigningRequestStatus>;

export const CertificateSigningRequest = message("io.k8s.api.certificates.v1.CertificateSigningRequest", () => ({
  metadata: metadataField(),
  spec: required(2, CertificateSigningRequestSpec, "The request, which cannot be changed."),
  status: optional(3, CertificateSigningRequestStatus, "The decision and the issued certificate.", { printed: true }),
}));
export type CertificateSigningRequest = z.infer<typeof CertificateSigningRequest>;

/** A request for a certificate, which a signer issues once it is approved. Follows upstream's csrStrategy. */
export const certificateSigningRequests = defineKind<CertificateSigningRequest>({
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  singular: "certificatesigningrequest",
  shortNames: ["csr"],
  scope: "Cluster",
  name: "path-segment",
  schema: CertificateSigningRequest,
  prepareForCreate(object, { user }) {
    if (!object.spec) return;
    const { username, uid, groups, extra, ...spec } = object.spec;
    const { username: name, ...others } = user ? userInfo(user) : {};
    object.spec = { ...spec, ...(name ? { username: name } : {}), ...others };
  },
  prepareForUpdate(next, previous) {
    next.spec = previous.spec;
  },
  validateCreate: validateNew,
  validateUpdate,
  subresources: {
    approval: {
      type: "partialUpdate",
      verbs: ["get", "patch", "update"],
      prepare(next, previous, context) {
        setTimes(next, previous, context);
        next.spec = previous.spec;
        const { conditions } = next.status ?? {};
        next.status = { ...previous.status };
        if (conditions) next.status.conditions = conditions;
        else delete next.status.conditions;
      },
      validate: validateApproval,
    },
    status: {
      type: "status",
      prepare(next, previous, context) {
        keepConditions(next, previous, "Approved");
        keepConditions(next, previous, "Denied");
        setTimes(next, previous, context);
      },
      validate: validateStatus,
    },
  },
  fields: { "spec.signerName": ({ spec }) => spec?.signerName ?? "" },
  columns: [
    nameColumn,
    ageColumn,
    {
      name: "SignerName",
      type: "string",
      doc: "The signer that is to issue the certificate.",
      value: ({ spec }) => spec?.signerName || "<none>",
    },
    {
      name: "Requestor",
      type: "string",
      doc: "The user that created the request.",
      value: ({ spec }) => spec?.username ?? "",
    },
    {
      name: "RequestedDuration",
      type: "string",
      doc: "The requested validity of the certificate.",
      value: ({ spec }) =>
        spec?.expirationSeconds === undefined ? "<none>" : humanDuration(spec.expirationSeconds * 1000),
    },
    { name: "Condition", type: "string", doc: "The decision and its outcome.", value: conditionOf },
  ],
});

/** Whether a request has a condition of a type. */
export const hasCondition = ({ status }: CertificateSigningRequest, type: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.type === type);

function conditionOf(request: CertificateSigningRequest): string {
  const decision = hasCondition(request, "Denied")
    ? "Denied"
    : hasCondition(request, "Approved")
      ? "Approved"
      : "Pending";
  const failed = hasCondition(request, "Failed") ? ",Failed" : "";
  return `${decision}${failed}${request.status?.certificate ? ",Issued" : ""}`;
}

/** Puts the stored conditions of a type back, unless some were added or removed, which validation refuses. */
function keepConditions(next: CertificateSigningRequest, previous: CertificateSigningRequest, type: string): void {
  const conditions = next.status?.conditions ?? [];
  const stored = (previous.status?.conditions ?? []).filter((condition) => condition.type === type);
  if (conditions.filter((condition) => condition.type === type).length !== stored.length) return;
  for (const [at, condition] of conditions.entries()) if (condition.type === type) conditions[at] = stored.shift()!;
}

/** Fills absent times (upstream's populateConditionTimestamps). */
function setTimes(
  { status }: CertificateSigningRequest,
  previous: CertificateSigningRequest,
  { now }: HookContext,
): void {
  for (const condition of status?.conditions ?? []) {
    condition.lastUpdateTime ??= formatTime(now);
    const same = (previous.status?.conditions ?? []).find(
      ({ type, status: value, lastTransitionTime }) =>
        type === condition.type && value === condition.status && lastTransitionTime !== undefined,
    );
    condition.lastTransitionTime ??= same?.lastTransitionTime ?? formatTime(now);
  }
}
