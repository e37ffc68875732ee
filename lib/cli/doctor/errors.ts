import { messageOf } from "#base";

const denied = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "AuthorizationError",
  "AuthorizationErrorException",
  "Client.UnauthorizedOperation",
  "UnauthorizedException",
  "UnauthorizedOperation",
]);
const refused = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);
const unreachable = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "ETIMEDOUT",
]);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");

export const isDenied = (error: unknown): boolean => denied.has(nameOf(error));

/** Why no request is possible; undefined for an error of one request only. */
export function hopeless(error: unknown): string | undefined {
  const message = messageOf(error).split("\n")[0];
  if (["CredentialsProviderError", "TokenProviderError"].includes(nameOf(error)))
    return `there are no credentials for AWS (${message}): set AWS_PROFILE, or sign in with \`aws sso login\``;
  if (refused.has(nameOf(error))) return `AWS does not take the credentials: ${message}`;
  const { code } = error as { code?: string };
  if (nameOf(error) === "TimeoutError" || (code !== undefined && unreachable.has(code)))
    return `AWS cannot be reached: ${message || code}`;
  return undefined;
}
