import { createHash } from "node:crypto";
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  type SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { discoveryPaths, type RingStore, type RotationOptions, tendRing } from "#auth/service-account";

/** Seconds: as EKS, so that a key that signs no more can go after a day. */
export const longestToken = 86_400;

/** The ring of signing keys in a secret. */
export function secretRing(secrets: SecretsManagerClient, id: string): RingStore {
  return {
    async read() {
      const { SecretString = "", VersionId = "" } = await secrets.send(new GetSecretValueCommand({ SecretId: id }));
      return { text: SecretString, version: VersionId };
    },
    async write(text, version) {
      // A version has one successor: of two writers who have read the same, the second finds the first's there.
      const next = createHash("sha256").update(`after ${version}`).digest("hex");
      const value = { SecretId: id, SecretString: text, ClientRequestToken: next };
      await secrets.send(new PutSecretValueCommand(value)).catch((error: unknown) => {
        if (!(error instanceof ResourceExistsException)) throw error;
        throw new Error("somebody else has changed the signing keys at the same time", { cause: error });
      });
      return next;
    },
  };
}

/** The bucket at the issuer's address. */
export interface Issuer {
  publish: RotationOptions["publish"];
  /** Leaves nothing in the bucket. Nobody can check tokens from then on. */
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

/** Brings keys and documents to where they should be. Safe to run at any time; see `tendRing`. */
export const tendKeys = (options: Omit<RotationOptions, "longestToken">): Promise<void> =>
  tendRing({ ...options, longestToken });
