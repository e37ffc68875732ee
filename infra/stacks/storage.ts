import {
  ArnFormat,
  Duration,
  aws_dynamodb as dynamodb,
  aws_iam as iam,
  aws_logs as logs,
  RemovalPolicy,
  type Stack,
  aws_s3 as s3,
  aws_secretsmanager as secrets,
  Tags,
} from "aws-cdk-lib";
import type { Construct } from "constructs";
import { type TableDefinition, tables } from "#store/dynamo";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { keyQueue } from "../constructs/queue.ts";
import { queueNames, visibilityOf } from "../functions.ts";
import type { Parts } from "../parts.ts";
import { discoveryDocuments } from "../permissions.ts";

/** Data: tables, signing secret, issuer, pod logs; and the queues of keys, which can be created again. */
export function storageStack(stack: Stack, config: Config, parts: Parts): void {
  const keeps = config.data === "keep";
  const removalPolicy = keeps ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
  // CloudFormation may ignore a change of the deletion policy alone; with this, another property changes too.
  Tags.of(stack).add("skiff:data", config.data);
  const { objects, changes, stream } = config.restored
    ? adoptTables(stack, config.restored)
    : createTables(stack, keeps);

  const secret = new secrets.Secret(stack, "SigningSecret", {
    description: `Skiff ${config.cluster}: the signing keys of service account tokens`,
    removalPolicy,
  });
  acknowledge(secret, {
    SMG4: "bootstrap makes the key; a rotation must publish both keys for as long as tokens live, which no schedule does",
  });
  const bucket = issuerBucket(stack, config, removalPolicy);
  const podLogs = new logs.LogGroup(stack, "PodLogs", { retention: config.retention.pods, removalPolicy });

  for (const name of queueNames) {
    const id = `${name[0]!.toUpperCase()}${name.slice(1)}`;
    const { queue, dead } = keyQueue(stack, id, { visibility: Duration.seconds(visibilityOf(name)) });
    parts.queues[name] = {
      arn: queue.queueArn,
      url: queue.queueUrl,
      dead: { arn: dead.queueArn, url: dead.queueUrl },
    };
    const upper = name.toUpperCase() as Uppercase<typeof name>;
    parts.environment[`SKIFF_${upper}_QUEUE_URL`] = queue.queueUrl;
    parts.environment[`SKIFF_${upper}_DEAD_LETTER_QUEUE_URL`] = dead.queueUrl;
  }

  Object.assign(parts.environment, {
    SKIFF_CLUSTER: config.cluster,
    SKIFF_CLUSTER_ID: clusterIdOf(stack, config),
    SKIFF_OBJECTS_TABLE: objects.name,
    SKIFF_CHANGES_TABLE: changes.name,
    SKIFF_ADMINISTRATOR: config.administrator,
    SKIFF_SERVICE_CIDR: config.serviceCidr,
    SKIFF_POD_CIDR: config.podCidr,
    SKIFF_WATCHES: String(config.watches.limit),
    SKIFF_DELIVERY: config.watches.delivery,
    SKIFF_SIGNING_SECRET_ARN: secret.secretArn,
    SKIFF_ISSUER: `https://${bucket.bucketRegionalDomainName}`,
    SKIFF_OIDC_BUCKET: bucket.bucketName,
    SKIFF_POD_LOG_GROUP: podLogs.logGroupName,
  } satisfies Parts["environment"]);
  Object.assign(parts.arns, {
    objects: objects.arn,
    changes: changes.arn,
    changesStream: stream,
    signingSecret: secret.secretArn,
    oidcBucket: bucket.bucketArn,
    podLogs: stack.formatArn({
      service: "logs",
      resource: "log-group",
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      resourceName: podLogs.logGroupName,
    }),
  } satisfies Parts["arns"]);
}

/** Globally unique: a token's audience must be this cluster only. */
export const clusterIdOf = (stack: Stack, config: Config): string =>
  `${stack.account}/${config.region}/${config.cluster}`;

interface Tables {
  objects: { name: string; arn: string };
  changes: { name: string; arn: string };
  stream: string;
}

function createTables(stack: Stack, keeps: boolean): Tables {
  const objects = table(stack, "Objects", tables.objects, keeps);
  const changes = table(stack, "Changes", tables.changes, keeps);
  return {
    objects: { name: objects.tableName, arn: objects.tableArn },
    changes: { name: changes.tableName, arn: changes.tableArn },
    stream: changes.tableStreamArn!,
  };
}

/** Restored tables: their stream, expiry, backups and protection are enabled by the operator. */
function adoptTables(stack: Stack, { objects, changes, stream }: NonNullable<Config["restored"]>): Tables {
  const named = (name: string) => ({
    name,
    arn: stack.formatArn({ service: "dynamodb", resource: "table", resourceName: name }),
  });
  return { objects: named(objects), changes: named(changes), stream };
}

const types = { S: dynamodb.AttributeType.STRING, N: dynamodb.AttributeType.NUMBER };

function table(scope: Construct, id: string, definition: TableDefinition, keeps: boolean): dynamodb.Table {
  const attribute = ({ name, type }: TableDefinition["partitionKey"]) => ({ name, type: types[type] });
  return new dynamodb.Table(scope, id, {
    partitionKey: attribute(definition.partitionKey),
    sortKey: attribute(definition.sortKey),
    timeToLiveAttribute: definition.timeToLive,
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    encryption: dynamodb.TableEncryption.AWS_MANAGED,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    deletionProtection: keeps,
    removalPolicy: keeps ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    ...(definition.stream ? { stream: dynamodb.StreamViewType[definition.stream] } : {}),
  });
}

/** The issuer's address is the bucket's, so that it outlives every API; its two documents are public. */
function issuerBucket(scope: Construct, config: Config, removalPolicy: RemovalPolicy): s3.Bucket {
  const bucket = new s3.Bucket(scope, "Issuer", {
    encryption: s3.BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy,
    blockPublicAccess: config.publicIssuer
      ? new s3.BlockPublicAccess({
          blockPublicAcls: true,
          ignorePublicAcls: true,
          blockPublicPolicy: false,
          restrictPublicBuckets: false,
        })
      : s3.BlockPublicAccess.BLOCK_ALL,
  });
  acknowledge(bucket, { S1: "two public documents without a secret: access logs are not needed" });
  if (!config.publicIssuer) return bucket;
  acknowledge(bucket, { S2: "OIDC discovery is public by its nature; the policy opens two keys and no more" });
  bucket.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.AnyPrincipal()],
      actions: ["s3:GetObject"],
      resources: discoveryDocuments.map((key) => bucket.arnForObjects(key)),
    }),
  );
  return bucket;
}
