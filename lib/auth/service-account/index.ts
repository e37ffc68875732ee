/**
 * Tokens of service accounts: signed JWTs as in upstream, bound to objects and reviewed against their current state;
 * the signing keys, their rotation, and the documents of OIDC discovery. The host passes the storage of the key ring.
 */
export { discoveryDocuments, discoveryPaths } from "./discovery.ts";
export { newRingText, type PublicKey, ringKeys, type SigningKey, type SigningKeys, shared } from "./keys.ts";
export { type RingStore, type RotationOptions, tendRing } from "./rotation.ts";
export { type TokenOptions, tokenAuthority } from "./tokens.ts";
