/** What the deployed stacks will do with data when they go. */
export type DataPolicy = "keep" | "delete" | "mixed";

export interface Template {
  Resources: Record<string, { Type: string; DeletionPolicy?: string; Properties?: Record<string, unknown> }>;
}

const dataTypes = new Set(["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"]);

const isData = (id: string, type: string): boolean =>
  dataTypes.has(type) || (type === "AWS::Logs::LogGroup" && id.startsWith("PodLogs"));

/** What the template of the storage stack says of its data. */
export function dataPolicy({ Resources }: Template): DataPolicy {
  const kept = Object.entries(Resources)
    .filter(([id, { Type }]) => isData(id, Type))
    .map(([, { DeletionPolicy, Properties }]) => {
      const isHeld = DeletionPolicy === "Retain" || DeletionPolicy === "RetainExceptOnCreate";
      return isHeld || Properties?.["DeletionProtectionEnabled"] === true;
    });
  if (kept.every((held) => held)) return "keep";
  return kept.some((held) => held) ? "mixed" : "delete";
}

/** What is there of a cluster. */
export interface Standing {
  cluster: string;
  /** Names of the stacks that are there. */
  stacks: readonly string[];
  /** Undefined without a storage stack. */
  policy?: DataPolicy;
  /** Where pods run on Fargate. */
  ecsCluster?: string;
  /** Which the issuer's documents lie in. */
  bucket?: string;
}

/** Something to be done, and why. */
export type Step =
  | { kind: "cdk"; words: readonly string[]; why: string }
  | { kind: "stop-tasks"; cluster: string; why: string }
  | { kind: "empty"; bucket: string; why: string };

/**
 * What takes the cluster out, in order. A plan that was interrupted is made again of what is there then; nothing in it
 * has to be done twice. `assembly` has been synthesized with the wanted policy.
 */
export function planOf(wanted: "keep" | "delete", standing: Standing, assembly: string): Step[] {
  const { cluster, stacks, policy, ecsCluster, bucket } = standing;
  const there = (...names: string[]) =>
    names.map((name) => `skiff-${cluster}-${name}`).filter((name) => stacks.includes(name));
  const steps: Step[] = [];
  if (stacks.length === 0) return steps;
  const app = ["--app", assembly];
  if (policy !== undefined && policy !== wanted) {
    // The API's stack tells the cluster's last rites what becomes of the issuer's documents.
    const words = ["deploy", ...there("storage", "api"), "--exclusively", "--require-approval", "never", ...app];
    steps.push({ kind: "cdk", words, why: `the deployed stacks would ${told[policy]}` });
  }
  const workers = there("alarms", "gateway", "controllers");
  if (workers.length > 0) {
    const words = ["destroy", ...workers, "--force", ...app];
    steps.push({ kind: "cdk", words, why: "first those who would start again what is stopped" });
  }
  if (ecsCluster !== undefined)
    steps.push({ kind: "stop-tasks", cluster: ecsCluster, why: "pods on Fargate would hold the ECS cluster" });
  if (wanted === "delete" && bucket !== undefined)
    steps.push({ kind: "empty", bucket, why: "a bucket with something in it cannot go" });
  steps.push({ kind: "cdk", words: ["destroy", "--all", "--force", ...app], why: "everything else" });
  return steps;
}

const told: Record<DataPolicy, string> = {
  keep: "keep the data",
  delete: "delete the data",
  mixed: "keep some of the data",
};
