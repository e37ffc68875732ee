import type * as z from "zod";
import { formatTime, invalid } from "#base";
import {
  type AccessContext,
  defineKind,
  type FieldError,
  int64,
  invalidValue,
  type KubernetesObject,
  list,
  message,
  metadataField,
  optional,
  required,
  string,
  time,
} from "../meta/index.ts";

export const BoundObjectReference = message("io.k8s.api.authentication.v1.BoundObjectReference", () => ({
  kind: optional(1, string, "Pod, Secret or Node."),
  apiVersion: optional(2, string, "Group and version of the object."),
  name: optional(3, string, "Name of the object."),
  uid: optional(4, string, "Uid of the object, as a precondition."),
}));
export type BoundObjectReference = z.infer<typeof BoundObjectReference>;

export const TokenRequestSpec = message("io.k8s.api.authentication.v1.TokenRequestSpec", () => ({
  audiences: required(1, list(string), "Audiences of the token. Defaults to the API server.", { list: "atomic" }),
  boundObjectRef: optional(3, BoundObjectReference, "The object with which the token ends.", {
    printed: true,
    isPointer: true,
  }),
  expirationSeconds: optional(4, int64, "Requested lifetime of the token; the server may shorten it.", {
    default: 3600,
    isPointer: true,
  }),
}));
export type TokenRequestSpec = z.infer<typeof TokenRequestSpec>;

export const TokenRequestStatus = message("io.k8s.api.authentication.v1.TokenRequestStatus", () => ({
  token: required(1, string, "The token."),
  expirationTimestamp: required(2, time, "When it ends."),
}));
export type TokenRequestStatus = z.infer<typeof TokenRequestStatus>;

export const TokenRequest = message("io.k8s.api.authentication.v1.TokenRequest", () => ({
  metadata: metadataField(),
  spec: required(2, TokenRequestSpec, "The requested token."),
  status: optional(3, TokenRequestStatus, "The token.", { printed: true }),
}));
export type TokenRequest = z.infer<typeof TokenRequest>;

/** Seconds. */
const shortest = 600;
const longest = 2 ** 32;

/** Upstream's ValidateTokenRequest. */
export function validateTokenRequest({ spec }: TokenRequest): FieldError[] {
  const seconds = Number(spec?.expirationSeconds ?? 0);
  const field = "spec.expirationSeconds";
  if (seconds < shortest) return [invalidValue(field, seconds, "may not specify a duration less than 10 minutes")];
  if (seconds > longest) return [invalidValue(field, seconds, "may not specify a duration larger than 2^32 seconds")];
  return [];
}

/** The body of serviceaccounts/token, which is answered with the token and never stored. */
export const tokenRequests = defineKind<TokenRequest>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenRequest",
  plural: "tokenrequests",
  singular: "tokenrequest",
  scope: "Namespaced",
  schema: TokenRequest,
  internal: true,
  validate: validateTokenRequest,
});

/** A question may name the account that the path names, and no other. */
export function checkTokenRequestPlace({ metadata }: TokenRequest, account: { namespace: string; name: string }): void {
  for (const [field, own] of Object.entries(account)) {
    const asked = metadata[field as "name" | "namespace"];
    if (!asked || asked === own) continue;
    const why = `must match the service account ${field} if specified`;
    throw invalid(tokenRequests, account.name, [invalidValue(`metadata.${field}`, asked, why)]);
  }
}

/** Answers a request for a token of an account, as upstream's TokenREST does. */
export async function answerTokenRequest(
  account: KubernetesObject,
  request: TokenRequest,
  context: AccessContext,
): Promise<{ object: TokenRequest; warnings: string[] }> {
  const { audiences = [], boundObjectRef, expirationSeconds } = request.spec;
  const wanted = Number(expirationSeconds ?? 0);
  const issued = await context.issueToken(account, { audiences, bound: boundObjectRef, expirationSeconds: wanted });
  const given = issued.expirationSeconds;
  return {
    object: {
      metadata: { ...request.metadata, creationTimestamp: formatTime(context.now) },
      spec: { ...request.spec, audiences: [...issued.audiences], expirationSeconds: given },
      status: { token: issued.token, expirationTimestamp: formatTime(context.now + given * 1000) },
    },
    warnings: given < wanted ? [`requested expiration of ${wanted} seconds shortened to ${given} seconds`] : [],
  };
}
