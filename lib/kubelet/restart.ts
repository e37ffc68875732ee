import { type Container, isSidecar, type Pod } from "#api";

/** Whether a container that has ended is restarted, by its own policy or the pod's. */
export function restarts(
  pod: Pod,
  container: Container,
  { exitCode, isInit }: { exitCode?: number | undefined; isInit: boolean },
): boolean {
  // The container's own rules are first; their only action is a restart.
  for (const { action, exitCodes } of container.restartPolicyRules ?? []) {
    const listed = (exitCodes?.values ?? []).includes(exitCode ?? 137);
    if (action === "Restart" && exitCodes && listed === (exitCodes.operator === "In")) return true;
  }
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? "Always";
  // An init container that has succeeded is complete, whatever the policy.
  if (isInit && !isSidecar(container)) return policy !== "Never" && exitCode !== 0;
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}
