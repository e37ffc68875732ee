import { rotateLog } from "#agent/runtime/logs";
import { type Clock, type Log, messageOf } from "#base";
import type { Cri } from "./cri-client.ts";
import type { ContainerItem, ContainerStatus } from "./items.ts";

export interface LogLimits {
  maxBytes: number;
  maxFiles: number;
}

const checkMilliseconds = 10_000;

/**
 * Checks the logs of running containers periodically and rotates those that exceed the limit. Returns a function that
 * stops it.
 */
export function startRotation(
  cri: Cri,
  running: () => Promise<ContainerItem[]>,
  { clock, log, limits }: { clock: Clock; log: Log; limits: LogLimits },
): () => void {
  let stopped = false;
  const check = async (): Promise<void> => {
    for (const { id, state } of await running()) {
      if (state !== "CONTAINER_RUNNING") continue;
      const { status } = await cri.runtime<{ status: ContainerStatus }>("ContainerStatus", { container_id: id });
      if (status.log_path === "") continue;
      await rotateLog({
        path: status.log_path,
        ...limits,
        now: clock.now(),
        reopen: async () => {
          await cri.runtime("ReopenContainerLog", { container_id: id });
        },
      });
    }
  };
  const round = (): void => {
    check()
      .catch((error) => log.debug("container logs could not be rotated", { error: messageOf(error) }))
      .finally(() => {
        if (!stopped) timer = clock.timer(checkMilliseconds, round);
      });
  };
  let timer = clock.timer(checkMilliseconds, round);
  return () => {
    stopped = true;
    timer.cancel();
  };
}
