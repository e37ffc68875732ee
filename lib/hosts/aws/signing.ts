import { DeleteObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { discoveryPaths, type RingStore, type RotationOptions, shared, tendRing } from "#auth/service-account";
import { lazily } from "./lazy.ts";

/** The bucket at the issuer's address. */
export interface Issuer {
  publish: RotationOptions["publish"];
  /** Deletes the documents. No token can be verified from then on. */
  withdraw(): Promise<void>;
}

export const issuerBucket = (s3: S3Client, bucket: string): Issuer => ({
  async publish(documents) {
    for (const { path, headers, body } of documents) {
      const how = { ContentType: headers["content-type"], CacheControl: headers["cache-control"] };
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: path.slice(1), Body: body, ...how }));
    }
  },
  async withdraw() {
    for (const path of Object.values(discoveryPaths)) {
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: path.slice(1) }));
    }
  },
});

/** Maintains keys and documents. Safe to run at any time; see `tendRing`. */
export const tendKeys = (options: Omit<RotationOptions, "longestToken">): Promise<void> =>
  tendRing({ ...options, longestToken: shared.longestToken });

/** The keys that sign tokens, in a secret; its client is loaded with the first read. */
export const signingRingIn = (secret: string): RingStore =>
  lazily(async () => (await import("./secret-ring.ts")).secretRing(secret));
