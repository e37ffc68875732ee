import type { Sandbox } from "#agent/runtime";
import { messageOf } from "#base";
import type { PodsContext } from "./context.ts";
import { cleanUpPod } from "./pod-cleanup.ts";
import { graceAnnotation } from "./sandbox-spec.ts";

/** Used when the sandbox records no grace period, as the API's default. */
const defaultGraceSeconds = 30;

/**
 * Ends pods that this node runs and that `isWanted` does not know, and removes what is left of them: volumes, logs and
 * cgroups, which the runtime may create again while it ends what a killed agent had requested. Resolves with
 * whether nothing is left. A pod that cannot be ended does not hold up the others. Throws when pods cannot be listed.
 */
export async function removeStrays(context: PodsContext, isWanted: (uid: string) => boolean): Promise<boolean> {
  const strays = (await context.runtime.pods.list()).filter(({ uid }) => !isWanted(uid));
  const found = [...(await context.volumes.list()), ...((await context.cgroups?.idle()) ?? [])];
  const leftovers = found.filter((uid) => !isWanted(uid));
  const failed = new Set<string>();
  const attempt = async (uid: string, act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      failed.add(uid);
      context.log.warn("a pod that is not wanted any more could not be ended", { uid, error: messageOf(error) });
    }
  };
  await Promise.all(strays.map((stray) => attempt(stray.uid, () => endStray(context, stray))));
  const ended = [...new Set([...strays.map((stray) => stray.uid), ...leftovers])];
  const removeLeft = async (uid: string): Promise<void> => {
    if (isWanted(uid) || failed.has(uid)) return;
    await attempt(uid, async () => {
      await context.volumes.unmount(uid);
      await cleanUpPod(uid, context.node);
    });
  };
  await Promise.all(ended.map(removeLeft));
  return failed.size === 0;
}

/** Ends a pod that the API no longer has, by what the runtime records of it. */
async function endStray({ runtime, log }: PodsContext, sandbox: Sandbox): Promise<void> {
  const { id, name, namespace, annotations, containers } = sandbox;
  log.info("a pod that is not wanted any more is ended", { pod: `${namespace}/${name}` });
  const recorded = Number(annotations[graceAnnotation] ?? defaultGraceSeconds);
  const graceSeconds = Number.isFinite(recorded) ? recorded : defaultGraceSeconds;
  const running = containers.filter(({ state }) => state === "running");
  await Promise.all(running.map((container) => runtime.pods.stopContainer(container.id, graceSeconds)));
  await runtime.pods.removeSandbox(id);
}
