import { jobController } from "../../job/index.ts";
import { minute, type Stage } from "../../job/testing/stage.ts";

export const key = { namespace: "default", name: "tick" };
export const cronObject = (spec: Record<string, unknown> = {}) => ({
  apiVersion: "batch/v1",
  kind: "CronJob",
  metadata: { name: "tick", namespace: "default" },
  spec: {
    schedule: "*/10 * * * *",
    jobTemplate: {
      metadata: { labels: { team: "red" }, annotations: { note: "kept" } },
      spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox" }] } } },
    },
    ...spec,
  },
});

export const minutesOf = (time: string) => Date.parse(time) / minute;
export const nameAt = (time: string) => `tick-${minutesOf(`2026-03-01T${time}:00Z`)}`;

/** Runs a job to its end, as the job controller and a node do. */
export async function finishOn(stage: Stage, name: string, exitCode = 0): Promise<void> {
  await stage.settle(jobController, name);
  const pod = (await stage.active()).find(({ metadata }) => metadata.generateName === `${name}-`);
  await stage.finish(pod!, exitCode);
  await stage.settle(jobController, name);
}
