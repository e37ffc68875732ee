import type * as z from "zod";
import { answerTokenRequest, checkTokenRequestPlace, type TokenRequest } from "../authentication/token-request.ts";
import { ageColumn, boolean, defineKind, list, message, metadataField, nameColumn, optional } from "../meta/index.ts";
import { LocalObjectReference, ObjectReference } from "./reference.ts";

export const ServiceAccount = message("io.k8s.api.core.v1.ServiceAccount", () => ({
  metadata: metadataField(),
  secrets: optional(2, list(ObjectReference), "Secrets that pods of this account may use.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  imagePullSecrets: optional(
    3,
    list(LocalObjectReference),
    "Secrets for pulling images, given to pods that name none.",
    { list: "atomic" },
  ),
  automountServiceAccountToken: optional(
    4,
    boolean,
    "Whether the token of this account is mounted into pods; a pod can override it.",
    { isPointer: true },
  ),
}));
export type ServiceAccount = z.infer<typeof ServiceAccount>;

const deprecatedAnnotation = "kubernetes.io/enforce-mountable-secrets";

export const serviceAccounts = defineKind<ServiceAccount>({
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  scope: "Namespaced",
  schema: ServiceAccount,
  prepareForCreate: keepOnlyNames,
  prepareForUpdate: keepOnlyNames,
  deleteReturnsObject: true,
  warnings({ metadata }, previous) {
    if (!metadata.annotations || !Object.hasOwn(metadata.annotations, deprecatedAnnotation)) return [];
    if (Object.hasOwn(previous?.metadata.annotations ?? {}, deprecatedAnnotation)) return [];
    return [
      `metadata.annotations[${deprecatedAnnotation}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
    ];
  },
  subresources: {
    token: {
      type: "review",
      accepts: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" },
      place: (request, account) => checkTokenRequestPlace(request as TokenRequest, account),
      answer: (account, request, context) => answerTokenRequest(account, request as TokenRequest, context),
    },
  },
  columns: [nameColumn, ageColumn],
});

/** Of a reference to a secret only its name counts. */
function keepOnlyNames(object: ServiceAccount): void {
  if (object.secrets) object.secrets = object.secrets.map(({ name }) => (name === undefined ? {} : { name }));
}
