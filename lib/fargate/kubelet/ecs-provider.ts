import type { Pod } from "#api";
import type { TaskRecord } from "#fargate";
import { planOf, type TaskSettings } from "./definition.ts";
import type { PodProvider, RunPodRequest } from "./provider.ts";
import type { Task } from "./task.ts";
import type { Tasks } from "./tasks.ts";

/** Runs each pod as one task of an ECS cluster. */
export class EcsProvider implements PodProvider {
  readonly #tasks: Tasks;
  readonly #settings: TaskSettings;

  constructor(tasks: Tasks, settings: TaskSettings) {
    this.#tasks = tasks;
    this.#settings = settings;
  }

  async run({ pod, attempt, configMaps }: RunPodRequest): Promise<Task> {
    const { definition, overrides } = planOf(pod, configMaps, this.#settings);
    const { uid = "" } = pod.metadata;
    const token = attempt === 0 ? uid : `${uid}-${attempt}`;
    return this.#tasks.run({
      definition: await this.#tasks.define(definition),
      token,
      startedBy: uid,
      overrides,
    });
  }

  describe(arn: string): Promise<Task | undefined> {
    return this.#tasks.describe(arn);
  }

  forgotten(pod: Pod, { arn, version, created }: TaskRecord): Task {
    return {
      taskArn: arn,
      clusterArn: `arn:aws:ecs:::cluster/skiff-${this.#settings.cluster}`,
      startedBy: pod.metadata.uid,
      version: version + 1,
      lastStatus: "STOPPED",
      desiredStatus: "STOPPED",
      createdAt: new Date(created).toISOString(),
      stopCode: "TaskNotFound",
      stoppedReason: "The task is not known to ECS any more.",
      containers: [],
      attachments: [],
    };
  }

  stop(arn: string, reason: string): Promise<void> {
    return this.#tasks.stop(arn, reason);
  }
}
