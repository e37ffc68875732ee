import { S3Client } from "@aws-sdk/client-s3";
import type { RingStore } from "#auth/service-account";
import { clock, dynamo, type Issuer, issuerBucket, objectsTable, once, signingRingIn, sqs } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { type DueIndex, dynamoDueIndex, type FifoQueue, sqsQueue } from "#reconcile/sqs";

/** Keys that are due later. */
export const dueIndex = once((): DueIndex => dynamoDueIndex(dynamo(), objectsTable()));

export const deadLetters = (queue: "RECONCILE" | "SCHEDULE" | "FARGATE"): FifoQueue =>
  sqsQueue(sqs(), requiredVariable(`SKIFF_${queue}_DEAD_LETTER_QUEUE_URL`), clock);

/** The keys that sign tokens. */
export const signingRing = once((): RingStore => signingRingIn(requiredVariable("SKIFF_SIGNING_SECRET_ARN")));

/** The bucket in which these keys are published. */
export const issuer = once((): Issuer => issuerBucket(new S3Client({}), requiredVariable("SKIFF_OIDC_BUCKET")));
