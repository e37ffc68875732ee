import { type Pod, pods } from "#api";
import { work } from "#fargate";
import { type AnyController, type ControllerContext, defineController } from "#reconcile";
import type { ScheduleWork } from "#reconcile/sqs";
import type { TaskSettings } from "./definition.ts";
import { EcsProvider } from "./ecs-provider.ts";
import { stopReasons } from "./outcome.ts";
import { PodController } from "./pod-controller.ts";
import { podWithUid } from "./pods.ts";
import { StatusSync } from "./status-sync.ts";
import type { Task } from "./task.ts";
import type { Tasks } from "./tasks.ts";

export interface KubeletOptions {
  context: ControllerContext;
  tasks: Tasks;
  later: ScheduleWork;
  settings: TaskSettings;
}

export interface Kubelet {
  /** Keys of pods, and ARNs of tasks whose pods are gone. */
  controllers: readonly AnyController[];
  /** Applies the state of a task of this cluster, as ECS reports it. Reports may arrive in any order. */
  taskChanged(task: Task): Promise<void>;
}

const isUid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The kubelet of the Fargate node: its pod controller over the ECS provider. */
export function kubelet({ context, tasks, later, settings }: KubeletOptions): Kubelet {
  const provider = new EcsProvider(tasks, settings);
  const sync = new StatusSync(context, provider, later);
  const controller = new PodController(context, provider, sync);
  return {
    controllers: [
      defineController<Pod>({ name: work.pod, for: pods, reconcile: (_, key) => controller.reconcile(key) }),
      defineController<Pod>({
        name: work.stop,
        for: pods,
        reconcile: (_, { name }) => provider.stop(name, stopReasons.deleted),
      }),
    ],
    async taskChanged(task) {
      const uid = task.startedBy;
      // Services of the same ECS cluster also have tasks.
      if (uid === undefined || !isUid.test(uid)) return;
      await sync.apply(task, () => podWithUid(context.client, uid));
    },
  };
}
