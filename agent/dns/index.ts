/**
 * Cluster DNS, as CoreDNS's kubernetes plugin serves it (the Kubernetes DNS specification 1.1): the encoding of
 * messages, the zone of services, endpoints and pods, a forwarder with a cache for all other names, and the server.
 */
export { decodeMessage } from "./decode.ts";
export { encodeMessage } from "./encode.ts";
export type { ServerAddress } from "./exchange.ts";
export { ForwardCache } from "./forward-cache.ts";
export { Forwarder } from "./forwarder.ts";
export { FrameReader, frameOf } from "./frames.ts";
export type { Message, Question, ResourceRecord } from "./message.ts";
export { lowerCase, parseName, textOf } from "./name.ts";
export { hostResolvConf, parseResolvConf, podResolvConf, type ResolvConf, resolvConfFault } from "./resolv-conf.ts";
export { type Forward, Resolver } from "./resolver.ts";
export { DnsServer } from "./server.ts";
export { Zone } from "./zone.ts";
