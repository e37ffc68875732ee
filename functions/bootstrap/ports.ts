import { S3Client } from "@aws-sdk/client-s3";
import type { RingStore } from "#auth/service-account";
import { type Issuer, issuerBucket, once, signingRingIn } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** The keys that sign tokens. */
export const signingRing = once((): RingStore => signingRingIn(requiredVariable("SKIFF_SIGNING_SECRET_ARN")));

/** The bucket in which these keys are published. */
export const issuer = once((): Issuer => issuerBucket(new S3Client({}), requiredVariable("SKIFF_OIDC_BUCKET")));
