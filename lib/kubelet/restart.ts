import { type Container, isSidecar, type Pod, type PodSpec } from "#api";

/** The reason of containers that a rule of another container has ended (upstream's RestartingAllContainers). */
export const restartingAll = "RestartingAllContainers";

/** The action of a container's first rule for this exit code; undefined where no rule matches it. */
function actionFor({ restartPolicyRules = [] }: Container, exitCode: number): string | undefined {
  return restartPolicyRules.find(({ exitCodes }) => {
    if (!exitCodes) return false;
    const isListed = (exitCodes.values ?? []).includes(exitCode);
    return (exitCodes.operator === "In" && isListed) || (exitCodes.operator === "NotIn" && !isListed);
  })?.action;
}

/** Whether a container's end with this exit code restarts all containers of its pod. */
export const restartsAll = (container: Container, exitCode: number | undefined): boolean =>
  actionFor(container, exitCode ?? 137) === "RestartAllContainers";

/** Whether a container of the pod may restart all of them (upstream's AllContainersCouldRestart). */
export const couldRestartAll = ({ initContainers = [], containers }: PodSpec): boolean =>
  [...initContainers, ...containers].some(({ restartPolicyRules = [] }) =>
    restartPolicyRules.some(({ action }) => action === "RestartAllContainers"),
  );

/** Whether a container that has ended is restarted, by its own policy or the pod's. */
export function restarts(
  pod: Pod,
  container: Container,
  { exitCode, isInit }: { exitCode?: number | undefined; isInit: boolean },
): boolean {
  // The container's own rules are first. Every action is a restart, of the container or of all.
  if (actionFor(container, exitCode ?? 137) !== undefined) return true;
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? "Always";
  // An init container that has succeeded is complete, whatever the policy.
  if (isInit && !isSidecar(container)) return policy !== "Never" && exitCode !== 0;
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}
