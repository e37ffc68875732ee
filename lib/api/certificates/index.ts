/** certificates.k8s.io/v1: requests for certificates, what they contain, and the rules of Kubernetes' own signers. */
export * from "./certificate-signing-request.ts";
export {
  apiServerNames,
  apiServingError,
  clientUsagesError,
  kubeletClientError,
  kubeletServingError,
  signers,
} from "./signers.ts";
