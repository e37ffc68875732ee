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
  /** By the ids of running containers: the path of a log never changes. */
  let paths = new Map<string, string>();
  const pathOf = async (id: string): Promise<string> => {
    const known = paths.get(id);
    if (known !== undefined) return known;
    const { status } = await cri.runtime<{ status: ContainerStatus }>("ContainerStatus", { container_id: id });
    return status.log_path;
  };
  const check = async (): Promise<void> => {
    const next = new Map<string, string>();
    for (const { id, state } of await running()) {
      if (state !== "CONTAINER_RUNNING") continue;
      const path = await pathOf(id);
      next.set(id, path);
      if (path === "") continue;
      await rotateLog({
        path,
        ...limits,
        now: clock.now(),
        reopen: async () => {
          await cri.runtime("ReopenContainerLog", { container_id: id });
        },
      });
    }
    paths = next;
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
