/** Bootstrap tokens: their secrets, and the signed description of a cluster by which a machine trusts its server. */
export {
  clusterInfo,
  isSame,
  isSignature,
  keyHashOf,
  kubeconfigKey,
  networkExtension,
  signatureOf,
  signaturePrefix,
} from "./cluster-info.ts";
export {
  defaultGroup,
  expiryOf,
  groupsOf,
  isTokenSecret,
  nodeGroup,
  secretNameOf,
  type TokenSecretOptions,
  type TokenUse,
  textOf,
  tokenNamespace,
  tokenSecret,
  tokenType,
  usableToken,
} from "./secret.ts";
export { type BootstrapToken, formatToken, newToken, parseToken } from "./token.ts";
