/** The deployed stacks' policy for data on deletion. */
export type DataPolicy = "keep" | "delete" | "mixed";

export interface Template {
  Resources: Record<string, { Type: string; DeletionPolicy?: string; Properties?: Record<string, unknown> }>;
}

const dataTypes = new Set(["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"]);

const isData = (id: string, type: string): boolean =>
  dataTypes.has(type) || (type === "AWS::Logs::LogGroup" && id.startsWith("PodLogs"));

/** The policy in the template of the storage stack. */
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

/** The deployed parts of a cluster. */
export interface Deployed {
  cluster: string;
  /** Names of the deployed stacks. */
  stacks: readonly string[];
  /** Undefined without a storage stack. */
  policy?: DataPolicy | undefined;
  /** The ECS cluster of pods on Fargate. */
  ecsCluster?: string | undefined;
  /** The bucket of the issuer's documents. */
  bucket?: string | undefined;
}

/** A step of the plan, with its reason. */
export type Step =
  | { kind: "cdk"; args: readonly string[]; why: string }
  | { kind: "stop-tasks"; cluster: string; why: string }
  | { kind: "empty"; bucket: string; why: string };

/**
 * The steps that remove the cluster, in order. After an interruption a new plan is made from what still exists; no step
 * has to be repeated. `assembly` has been synthesized with the requested policy.
 */
export function planOf(requested: "keep" | "delete", deployed: Deployed, assembly: string): Step[] {
  const { cluster, stacks, policy, ecsCluster, bucket } = deployed;
  const deployedOf = (...names: string[]) =>
    names.map((name) => `skiff-${cluster}-${name}`).filter((name) => stacks.includes(name));
  const steps: Step[] = [];
  if (stacks.length === 0) return steps;
  const app = ["--app", assembly];
  if (policy !== undefined && policy !== requested) {
    // The API stack's custom resource reads from its properties what happens to the issuer's documents.
    const args = ["deploy", ...deployedOf("storage", "api"), "--exclusively", "--require-approval", "never", ...app];
    steps.push({ kind: "cdk", args, why: `the deployed stacks would ${effectOf[policy]}` });
  }
  const workers = deployedOf("alarms", "gateway", "controllers");
  if (workers.length > 0) {
    const args = ["destroy", ...workers, "--force", ...app];
    steps.push({ kind: "cdk", args, why: "first the functions, which would start stopped tasks again" });
  }
  if (ecsCluster !== undefined)
    steps.push({ kind: "stop-tasks", cluster: ecsCluster, why: "pods on Fargate would hold the ECS cluster" });
  if (requested === "delete" && bucket !== undefined)
    steps.push({ kind: "empty", bucket, why: "a bucket that is not empty cannot be deleted" });
  steps.push({ kind: "cdk", args: ["destroy", "--all", "--force", ...app], why: "everything else" });
  return steps;
}

const effectOf: Record<DataPolicy, string> = {
  keep: "keep the data",
  delete: "delete the data",
  mixed: "keep some of the data",
};
