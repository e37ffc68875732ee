import { createHash } from "node:crypto";
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import type { RingStore } from "#auth/service-account";

/** The ring of signing keys in a secret. */
export function secretRing(id: string): RingStore {
  const secrets = new SecretsManagerClient({});
  return {
    async read() {
      const { SecretString = "", VersionId = "" } = await secrets.send(new GetSecretValueCommand({ SecretId: id }));
      return { text: SecretString, version: VersionId };
    },
    async write(text, version) {
      // A version has one successor: of two writers that have read the same version, the second fails.
      const next = createHash("sha256").update(`after ${version}`).digest("hex");
      const value = { SecretId: id, SecretString: text, ClientRequestToken: next };
      await secrets.send(new PutSecretValueCommand(value)).catch((error: unknown) => {
        if (!(error instanceof ResourceExistsException)) throw error;
        throw new Error("another writer has changed the signing keys at the same time", { cause: error });
      });
      return next;
    },
  };
}
