import { type CertificateSigningRequest, certificateSigningRequests, signers } from "#api";
import { deepEqual, forbidden, messageOf } from "#base";
import { parseRequest, textOf } from "#x509";
import type { AdmissionContext, AdmissionRequest, Plugin } from "../port.ts";

const { group, plural } = certificateSigningRequests;

const refuse = (name: string, why: string): Error => forbidden({ group, resource: plural }, name, why);

const isUpdateOf = ({ kind, operation, subresource }: AdmissionRequest, part: string): boolean =>
  kind === certificateSigningRequests && operation === "UPDATE" && subresource === part;

const signerOf = (request: CertificateSigningRequest): string => request.spec?.signerName ?? "";

/** Whether the user may `verb` requests for a signer or for all signers of its domain (IsAuthorizedForSignerName). */
async function isAllowed(
  { user }: AdmissionRequest,
  { authorize }: AdmissionContext,
  verb: string,
  signer: string,
): Promise<boolean> {
  const domain = signer.split("/")[0] ?? "";
  for (const name of [signer, `${domain}/*`]) {
    const resource = { group, version: "*", plural: "signers", subresource: "", namespace: "", name };
    if ((await authorize({ user, verb, path: "", resource }))?.allowed) return true;
  }
  return false;
}

/** Approving or denying a request takes the right `approve` on its signer (upstream's CertificateApproval). */
export const certificateApproval: Plugin = {
  name: "CertificateApproval",
  async validate(request, context) {
    if (!isUpdateOf(request, "approval")) return;
    const signer = signerOf(request.previous as CertificateSigningRequest);
    if (await isAllowed(request, context, "approve", signer)) return;
    throw refuse(request.name, `user not permitted to approve requests with signerName "${signer}"`);
  },
};

/** Writing a certificate or a condition takes the right `sign` on the signer (upstream's CertificateSigning). */
export const certificateSigning: Plugin = {
  name: "CertificateSigning",
  async validate(request, context) {
    if (!isUpdateOf(request, "status")) return;
    const [next, previous] = [request.object, request.previous] as CertificateSigningRequest[];
    const contentOf = ({ status = {} }: CertificateSigningRequest) => [
      status.certificate ?? "",
      status.conditions ?? [],
    ];
    if (deepEqual(contentOf(next!), contentOf(previous!))) return;
    const signer = signerOf(previous!);
    if (await isAllowed(request, context, "sign", signer)) return;
    throw refuse(request.name, `user not permitted to sign requests with signerName "${signer}"`);
  },
};

/** No client certificate is issued for the group of unlimited rights (upstream's CertificateSubjectRestriction). */
export const certificateSubjectRestriction: Plugin = {
  name: "CertificateSubjectRestriction",
  validate({ kind, operation, subresource, name, object }) {
    if (kind !== certificateSigningRequests || operation !== "CREATE" || subresource !== "") return;
    const { spec } = object as CertificateSigningRequest;
    if (spec?.signerName !== signers.apiServerClient) return;
    if (!organizationsOf(name, spec.request).includes("system:masters")) return;
    throw refuse(name, `use of ${signers.apiServerClient} signer with system:masters group is not allowed`);
  },
};

function organizationsOf(name: string, request: string): readonly string[] {
  try {
    return parseRequest(textOf(request)).organizations;
  } catch (error) {
    throw refuse(name, `failed to parse CSR: ${messageOf(error)}`);
  }
}
