/**
 * Cluster DNS, as CoreDNS's kubernetes plugin serves it (the Kubernetes DNS specification 1.1): the encoding of
 * messages, without input or output.
 */
export { decodeMessage, decodeRequest, type Request } from "./decode.ts";
export { encodeMessage } from "./encode.ts";
export { FrameReader, frameOf } from "./frames.ts";
export type { Message, Question, ResourceRecord } from "./message.ts";
