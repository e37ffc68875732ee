import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";

export type Credentials = ConstructorParameters<typeof SignatureV4>[0]["credentials"];

export interface SigningOptions {
  /** The service name in the signature's scope, such as `execute-api`. */
  service: string;
  region: string;
  credentials: Credentials;
}

/** Signs requests to one service of one region by Signature Version 4. */
export const signatureV4 = (options: SigningOptions): SignatureV4 => new SignatureV4({ ...options, sha256: Sha256 });

/** SHA-256 by Node, with the signer's interface. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error("a hash is used once");
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
