/** Joining: how a machine comes to trust a cluster by a bootstrap token, and obtains the certificates of its node. */
export { type Discovered, type DiscoverOptions, discover } from "./discover.ts";
export { type EnrollOptions, enroll, type RenewOptions, renew } from "./enroll.ts";
export { type CertificateWanted, renewalOf, requestCertificate } from "./request.ts";
