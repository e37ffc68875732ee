import { type Pod, pods } from "#api";
import { fargateNode, work } from "#fargate";
import { isOver } from "#kubelet";
import { type AnyController, type ControllerContext, defineController } from "#reconcile";
import { familyPrefix, isHash, planOf, type TaskSettings } from "./definition.ts";
import { Missing } from "./env.ts";
import { configMapsFor } from "./pods.ts";
import { refusalOf } from "./refusals.ts";
import type { Tasks } from "./tasks.ts";

export interface UnusedOptions {
  context: ControllerContext;
  tasks: Tasks;
  settings: TaskSettings;
}

/** Milliseconds for which a definition is kept after its registration: its pod may not have started yet. */
const kept = 24 * 3_600_000;
/** The most per run: ECS deregisters about one a second. */
const atOnce = 25;

/** Deregisters definitions that no pod uses: every pod template ever used leaves one behind. */
export function unusedDefinitions({ context, tasks, settings }: UnusedOptions): AnyController {
  const { client, clock, log } = context;
  const used = async (): Promise<Set<string>> => {
    const bound = { fields: [{ field: "spec.nodeName", equal: true, value: fargateNode }] };
    const { items } = await client.list(pods, bound);
    const families = items.map(async (pod) => {
      if (isOver(pod.status?.phase) || refusalOf(pod)) return [];
      try {
        return [planOf(pod, await configMapsFor(client, pod), settings).definition.family];
      } catch (error) {
        // The pod waits for the missing object, and its definition will differ then.
        if (error instanceof Missing) return [];
        throw error;
      }
    });
    return new Set((await Promise.all(families)).flat());
  };
  return defineController<Pod>({
    name: work.definitions,
    for: pods,
    reconcile: async () => {
      // First the existing definitions, then the used ones: a definition that is registered in between is too young to
      // be removed.
      const prefix = familyPrefix(settings);
      const existing = (await tasks.families(prefix)).filter((family) => isHash(family.slice(prefix.length)));
      const needed = await used();
      const unused = existing.filter((family) => !needed.has(family));
      const retired: string[] = [];
      for (const family of unused) {
        if (retired.length === atOnce) break;
        if (await tasks.retire(family, clock.now() - kept)) retired.push(family);
      }
      if (retired.length > 0) log.info("unused task definitions were deregistered", { families: retired });
      return undefined;
    },
  });
}
