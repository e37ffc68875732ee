/** Evaluates a Job's pod failure policy and success policy. */
import {
  countIndexes,
  type Intervals,
  type Job,
  type Pod,
  type PodFailurePolicy,
  type PodFailurePolicyOnExitCodesRequirement,
  type PodFailurePolicyRule,
  readIndexes,
} from "#api";
import { isFailed } from "./job-pods.ts";

/** The result of the pod failure policy for one pod. */
export interface PolicyResult {
  action?: string;
  /** Whether the failure counts against the backoff limits. */
  counts: boolean;
  /** The message for the job's condition, if the whole job fails. */
  failsJob?: string;
}

/** Applies the first rule that matches; without one the failure counts. */
export function evaluatePolicy(policy: PodFailurePolicy | undefined, pod: Pod): PolicyResult {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const found = reasonToFit(rule, pod);
    if (found === undefined) continue;
    const { action } = rule;
    if (action === "Ignore") return { action, counts: false };
    if (action === "FailIndex" || action === "Count") return { action, counts: true };
    if (action === "FailJob")
      return { action, counts: true, failsJob: `${found} matching FailJob rule at index ${index}` };
  }
  return { counts: true };
}

/** Why a rule matches a pod, as the beginning of a sentence; undefined if it does not match. */
function reasonToFit(
  { onExitCodes, onPodConditions }: PodFailurePolicyRule,
  { metadata, status }: Pod,
): string | undefined {
  const pod = `${metadata.namespace}/${metadata.name}`;
  if (!onExitCodes) {
    const condition = status?.conditions?.find((one) =>
      onPodConditions?.some(({ type, status: wanted = "True" }) => one.type === type && one.status === wanted),
    );
    return condition && `Pod ${pod} has condition ${condition.type}`;
  }
  for (const { name, state } of [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]) {
    const code = state?.terminated?.exitCode;
    if (!code || (onExitCodes.containerName !== undefined && onExitCodes.containerName !== name)) continue;
    if (fitsCode(onExitCodes, code)) return `Container ${name} for pod ${pod} failed with exit code ${code}`;
  }
  return undefined;
}

const fitsCode = ({ operator, values }: PodFailurePolicyOnExitCodesRequirement, code: number): boolean =>
  operator === "In" ? values.includes(code) : operator === "NotIn" && !values.includes(code);

/** Why the job fails as a whole, if a rule matches one of its pods. */
export function failureByPolicy(job: Job, pods: readonly Pod[]): string | undefined {
  const policy = job.spec?.podFailurePolicy;
  if (!policy) return undefined;
  for (const pod of pods) {
    const message = isFailed(pod, job) ? evaluatePolicy(policy, pod).failsJob : undefined;
    if (message !== undefined) return message;
  }
  return undefined;
}

/** The message for the rule of the success policy that is met. */
export function successByPolicy({ spec }: Job, succeeded: Intervals): string | undefined {
  if (succeeded.length === 0) return undefined;
  const met = (spec?.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined)
      return succeededCount !== undefined && countIndexes(succeeded) >= succeededCount;
    const wanted = readIndexes(succeededIndexes, spec?.completions ?? 0);
    if (wanted.length === 0) return false;
    const common = countCommon(wanted, succeeded);
    return common === countIndexes(wanted) || (succeededCount !== undefined && common >= succeededCount);
  });
  return met < 0 ? undefined : `Matched rules at index ${met}`;
}

/** How many indexes are in both lists; both are sorted. */
function countCommon(left: Intervals, right: Intervals): number {
  let common = 0;
  for (let a = 0, b = 0; a < left.length && b < right.length; ) {
    const [one, other] = [left[a]!, right[b]!];
    common += Math.max(0, Math.min(one.last, other.last) - Math.max(one.first, other.first) + 1);
    if (one.last <= other.last) a++;
    if (other.last <= one.last) b++;
  }
  return common;
}
