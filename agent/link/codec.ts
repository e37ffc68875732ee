import type { RawData, WebSocket } from "ws";

export interface ChannelMessage<Bytes extends Uint8Array = Uint8Array> {
  channel: number;
  bytes: Bytes;
}

/**
 * The encoding of channels in WebSocket messages: each message starts with its channel, as a byte or as a digit before
 * base64.
 */
export interface ChannelCodec {
  /** Undefined for an empty message. */
  read(data: RawData): ChannelMessage<Buffer> | undefined;
  send(socket: WebSocket, message: ChannelMessage, done?: (error?: Error) => void): void;
}

const zero = "0".charCodeAt(0);

const binary: ChannelCodec = {
  read: (data) => {
    const message = data as Buffer;
    return message.length === 0 ? undefined : { channel: message[0]!, bytes: message.subarray(1) };
  },
  send: (socket, { channel, bytes }, done) => socket.send(Buffer.concat([Buffer.of(channel), bytes]), done),
};

const base64: ChannelCodec = {
  read: (data) => {
    const text = (data as Buffer).toString("latin1");
    if (text === "") return undefined;
    return { channel: text.charCodeAt(0) - zero, bytes: Buffer.from(text.slice(1), "base64") };
  },
  send: (socket, { channel, bytes }, done) =>
    socket.send(String.fromCharCode(zero + channel) + Buffer.from(bytes).toString("base64"), done),
};

/** The encoding of a subprotocol of Kubernetes; "" for a client that named none. */
export const codecOf = (protocol: string): ChannelCodec => (protocol.includes("base64") ? base64 : binary);
