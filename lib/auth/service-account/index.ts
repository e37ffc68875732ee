/**
 * Tokens of service accounts: signed JWTs as upstream makes them, bound to what they end with, checked against what is
 * there now; the keys that sign them, how these take turns, and what OIDC discovery shows. It never keeps a key
 * itself: whoever hosts it says where the ring of keys lies.
 */
export { discoveryDocuments, discoveryPaths } from "./discovery.ts";
export { newRingText, type PublicKey, ringKeys, type SigningKey, type SigningKeys, shared } from "./keys.ts";
export { type RingStore, type RotationOptions, tendRing } from "./rotation.ts";
export { type TokenOptions, tokenAuthority } from "./tokens.ts";
