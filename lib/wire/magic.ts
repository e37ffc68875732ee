/** How bytes begin that are an object in Kubernetes' protobuf. */
export const magic = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** Whether bytes start as a protobuf object does. */
export const isEnvelope = (body: Uint8Array): boolean => magic.every((byte, index) => body[index] === byte);
