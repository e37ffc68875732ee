import type { Pod } from "#api";
import { logPrefix, recordOf } from "#cloud/fargate";

/**
 * The log stream of a container of the pod's task, in the pods' log group; undefined while the pod has no task. The
 * awslogs driver calls it `<prefix>/<container>/<task id>`.
 */
export function logStreamOf(pod: Pod, container: string): string | undefined {
  const task = recordOf(pod)?.arn.split("/").at(-1);
  return task === undefined ? undefined : `${logPrefix}/${container}/${task}`;
}
