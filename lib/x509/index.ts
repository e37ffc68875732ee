/** X.509 as control planes read it: PEM, PKCS #10 certificate requests and their signatures, chains of certificates. */
export { chainError, expiryOf } from "./certificate.ts";
export { type PemBlock, pemBlocks, pemOf, textOf } from "./pem.ts";
export { type CertificateRequest, checkRequest, parseRequest } from "./pkcs10.ts";
