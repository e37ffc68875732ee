import { type Deployment, type DeploymentCondition, deployments } from "#api";
import { formatTime } from "#base";
import type { ControllerContext } from "#reconcile";
import { ignoring } from "../ownership.ts";

export type Told = Pick<DeploymentCondition, "status" | "reason" | "message">;

/** Whether somebody waits for the rollout: without a deadline there is no Progressing condition. */
export const hasDeadline = ({ spec }: Deployment): boolean =>
  spec?.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== 2 ** 31 - 1;

/** A condition; the times move only with what they tell. With the same status and reason it stays as it was. */
export function condition(
  type: string,
  told: Told,
  before: DeploymentCondition | undefined,
  now: string,
): DeploymentCondition {
  if (before && before.status === told.status && before.reason === told.reason) return before;
  const since = before?.status === told.status ? before.lastTransitionTime : undefined;
  return { type, ...told, lastUpdateTime: now, lastTransitionTime: since ?? now };
}

/** Writes the Progressing condition alone, where a look ends before it could count anything. */
export async function writeProgressing(
  { context, deployment }: { context: ControllerContext; deployment: Deployment },
  told: Told,
): Promise<void> {
  if (!hasDeadline(deployment)) return;
  const conditions = deployment.status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === "Progressing");
  const next = condition("Progressing", told, before, formatTime(context.clock.now()));
  if (next === before) return;
  const status = { ...deployment.status, conditions: [...conditions.filter((each) => each !== before), next] };
  await ignoring(
    ["NotFound", "Conflict"],
    context.client.update(deployments, { ...deployment, status }, { subresource: "status" }),
  );
}
