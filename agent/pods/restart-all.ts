import type { Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { restartingAll, restartsAll } from "#kubelet";
import type { PodsContext } from "./context.ts";
import type { View } from "./plan.ts";

interface Listed {
  spec: Container;
  container: RuntimeContainer;
  /** Its end restarts all containers. */
  isSource: boolean;
}

/** The containers of the pod that the runtime lists. */
function listed(specs: readonly Container[], view: View): Listed[] {
  return specs.flatMap((spec) =>
    view.of(spec.name).map((container) => {
      const isEnded = container.state === "exited" && container.sandboxId === view.current?.id;
      return { spec, container, isSource: isEnded && restartsAll(spec, container.exitCode) };
    }),
  );
}

const specsOf = ({ spec }: Pod) => ({
  inits: (spec?.initContainers ?? []) as Container[],
  mains: (spec?.containers ?? []) as Container[],
});

/** Whether a container has ended whose rule restarts all of them (upstream's ShouldAllContainersRestart). */
export function startsAllAgain(pod: Pod, view: View): boolean {
  const { inits, mains } = specsOf(pod);
  return listed([...inits, ...mains], view).some(({ isSource }) => isSource);
}

/** The restart of all containers of one pod in its sandbox, by a rule of one of them. */
export class RestartAll {
  readonly #context: PodsContext;
  /** Containers that were removed and have not been started since, with the number of their restarts. */
  readonly #counts = new Map<string, number>();

  /** `pod` is as the API had it: an earlier agent may have removed the containers. */
  constructor(context: PodsContext, { status }: Pod) {
    this.#context = context;
    for (const one of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
      const isRemoved = one?.state?.waiting && one.lastState?.terminated?.reason === restartingAll;
      if (isRemoved) this.#counts.set(one.name, one.restartCount);
    }
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /**
   * Removes all containers, those whose end is the cause last: after a crash the rest follows. They are ended without a
   * grace period, and their logs stay.
   */
  async remove(pod: Pod, view: View): Promise<void> {
    const { pods } = this.#context.runtime;
    const { inits, mains } = specsOf(pod);
    const all = [...listed(mains, view), ...listed(inits, view)];
    const ordered = [...all.filter(({ isSource }) => !isSource), ...all.filter(({ isSource }) => isSource)];
    for (const { container } of ordered) {
      const { id, name, attempt, state } = container;
      if (state === "running") await pods.stopContainer(id, 0);
      this.#counts.set(name, Math.max(attempt + 1, this.#counts.get(name) ?? 0));
      await pods.removeContainer(id);
    }
  }
}
