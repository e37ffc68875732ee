import { expect } from "vitest";
import type { Case } from "../runner.ts";

const docs = "kubernetes.io/docs/concepts/workloads/controllers/job";
const cronDocs = "kubernetes.io/docs/concepts/workloads/controllers/cron-jobs";
const printers = "upstream printers.go";
const recorded = "data/kubectl-1.36-requests";
const course = "the course's manifests";

interface Metadata {
  name: string;
  labels?: Record<string, string>;
}

/** A job as text for `-f -`. */
const manifest = (name: string, spec: object, command: string[], metadata: object = {}): string =>
  JSON.stringify({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      ...spec,
      template: {
        metadata,
        spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox:latest", command }] },
      },
    },
  });

/** As printed in the course: the text in the container belongs to the pod. */
const misplaced = JSON.stringify({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "printed" },
  spec: { template: { spec: { containers: [{ name: "main", image: "busybox:latest", restartPolicy: "Never" }] } } },
});

/** Jobs and cron jobs. */
export const jobCases: readonly Case[] = [
  { run: "apply -f test/manifests/job.yaml", source: course, out: /job\.batch\/my-job created/ },
  { run: "wait job/my-job --for=condition=complete --timeout=60s", source: docs, out: /condition met/ },
  {
    run: "get jobs",
    source: printers,
    out: /^NAME\s+STATUS\s+COMPLETIONS\s+DURATION\s+AGE\nmy-job\s+Complete\s+1\/1\s+\d+s/m,
  },
  {
    run: "get job my-job -o wide",
    source: printers,
    out: /CONTAINERS\s+IMAGES\s+SELECTOR\n.*my-container\s+busybox:latest\s+batch\.kubernetes\.io\/controller-uid=/,
  },
  { run: "logs job/my-job", source: docs, within: 5, out: /^Hello, Kubernetes!$/m },
  {
    run: "get pods -l batch.kubernetes.io/job-name=my-job",
    source: docs,
    out: /^my-job-\S+\s+0\/1\s+Completed\s/m,
  },
  {
    run: "get pods -l job-name=my-job -o json",
    source: "finalizer tracking",
    json: ({ items }) => expect(items[0].metadata.finalizers).toBeUndefined(),
  },
  {
    run: "describe job my-job",
    source: docs,
    out: [
      /Completion Mode:\s+NonIndexed/,
      /Pods Statuses:\s+0 Active \(0 Ready\) \/ 1 Succeeded \/ 0 Failed/,
      /SuccessfulCreate\s+.*Created pod: my-job-/,
      /Completed\s+.*Job completed/,
    ],
  },
  {
    run: "get jobs --field-selector status.successful=1 -o name",
    source: "JobToSelectableFields",
    out: /^job\.batch\/my-job$/m,
  },
  { run: "apply -f test/manifests/job.yaml", source: "no change, no request", out: /job\.batch\/my-job unchanged/ },
  {
    run: 'patch job my-job -p \'{"spec":{"template":{"spec":{"containers":[{"name":"my-container","image":"other"}]}}}}\'',
    source: "ValidateJobSpecUpdate",
    code: 1,
    err: /spec\.template: Invalid value: [\s\S]*field is immutable/,
  },
  { run: "delete job my-job", source: docs, out: /job\.batch "my-job" deleted/ },
  {
    run: "get pods -l job-name=my-job",
    source: "kubectl deletes in the background",
    within: 10,
    err: /No resources found/,
  },
  {
    run: "create -f -",
    stdin: misplaced,
    source: "validateJobSpec",
    code: 1,
    err: /spec\.template\.spec\.restartPolicy: Required value: valid values: "OnFailure", "Never"/,
  },
  {
    run: "create job pi --image=busybox:latest -- echo 3.14",
    source: `${recorded}: protobuf body`,
    out: /job\.batch\/pi created/,
  },
  { run: "wait job/pi --for=condition=complete --timeout=60s", source: docs, out: /condition met/ },
  { run: "logs job/pi", source: docs, within: 5, out: /^3\.14$/m },
  {
    run: "create -f -",
    stdin: manifest("failing", { backoffLimit: 0 }, ["sh", "-c", "exit 42"]),
    source: docs,
    out: /created/,
  },
  { run: "wait job/failing --for=condition=failed --timeout=60s", source: docs, out: /condition met/ },
  {
    run: "get job failing -o json",
    source: "trackJobStatusAndRemoveFinalizers",
    json: ({ status }) => {
      expect(status.failed).toBe(1);
      expect(
        status.conditions.map(({ type, reason }: { type: string; reason: string }) => `${type} ${reason}`),
      ).toEqual(["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    },
  },
  {
    run: "describe job failing",
    source: docs,
    out: /BackoffLimitExceeded\s+.*Job has reached the specified backoff limit/,
  },
  {
    run: "create -f -",
    stdin: manifest("indexed", { completions: 3, parallelism: 3, completionMode: "Indexed" }, [
      "sh",
      "-c",
      "echo index $JOB_COMPLETION_INDEX",
    ]),
    source: docs,
    out: /created/,
  },
  { run: "wait job/indexed --for=condition=complete --timeout=60s", source: docs, out: /condition met/ },
  {
    run: "get job indexed -o jsonpath={.status.completedIndexes}/{.status.succeeded}",
    source: "orderedIntervals.String",
    out: /^0-2\/3$/,
  },
  {
    run: "logs -l batch.kubernetes.io/job-name=indexed,batch.kubernetes.io/job-completion-index=2",
    source: docs,
    out: /^index 2$/m,
  },
  {
    run: "create -f -",
    stdin: manifest("resting", { suspend: true }, ["sleep", "1000"]),
    source: docs,
    out: /created/,
  },
  { run: "get job resting", source: printers, within: 10, out: /resting\s+Suspended\s+0\/1/ },
  { run: "get pods -l job-name=resting", source: docs, err: /No resources found/ },
  { run: 'patch job resting --type=merge -p \'{"spec":{"suspend":false}}\'', source: docs, out: /patched/ },
  {
    run: "wait pod -l job-name=resting --for=condition=Ready --timeout=60s",
    source: docs,
    within: 10,
    out: /condition met/,
  },
  { run: "get job resting -o jsonpath={.status.ready}", source: docs, within: 10, out: /^1$/ },
  { run: "delete job resting --cascade=orphan", source: "kubectl delete", out: /deleted/ },
  {
    run: "get pods -l job-name=resting -o json",
    source: "syncOrphanPod",
    within: 10,
    json: ({ items }) => {
      expect(items).toHaveLength(1);
      const [{ metadata }] = items as [{ metadata: Metadata & { finalizers?: string[]; ownerReferences?: object[] } }];
      expect([metadata.finalizers, metadata.ownerReferences]).toEqual([undefined, undefined]);
    },
  },
  { run: "delete pods -l job-name=resting --now", source: docs, out: /deleted/ },
  {
    run: "create -f -",
    stdin: manifest("once", { podReplacementPolicy: "Failed", parallelism: 2, completions: 2 }, ["sleep", "1000"]),
    source: docs,
    out: /created/,
  },
  {
    run: "wait pod -l job-name=once --for=condition=Ready --timeout=60s",
    source: docs,
    within: 10,
    out: /condition met/,
  },
  { run: "delete job once --cascade=foreground --timeout=60s", source: "kubectl delete", out: /deleted/ },
  { run: "get pods -l job-name=once", source: "foreground deletion", err: /No resources found/ },
  {
    run: "create -f -",
    stdin: manifest("fleeting", { ttlSecondsAfterFinished: 0 }, ["echo", "gone"]),
    source: "kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished",
    out: /created/,
  },
  { run: "wait job/fleeting --for=delete --timeout=60s", source: docs },
  { run: "get job fleeting", source: "ttl-after-finished", within: 10, code: 1, err: /not found/ },
  { run: "apply -f test/manifests/cronjob.yaml", source: course, out: /cronjob\.batch\/my-cronjob created/ },
  {
    run: "get cj",
    source: printers,
    out: /^NAME\s+SCHEDULE\s+TIMEZONE\s+SUSPEND\s+ACTIVE\s+LAST SCHEDULE\s+AGE\nmy-cronjob\s+\*\/1 \* \* \* \*\s+<none>\s+False\s+/m,
  },
  {
    run: "describe cronjob my-cronjob",
    source: cronDocs,
    out: [/Schedule:\s+\*\/1 \* \* \* \*/, /Concurrency Policy:\s+Allow/, /Successful Job History Limit:\s+3/],
  },
  {
    run: "create job by-hand --from=cronjob/my-cronjob",
    source: `${recorded}: protobuf body`,
    out: /job\.batch\/by-hand created/,
  },
  {
    run: "get job by-hand -o json",
    source: "kubectl create job --from",
    json: ({ metadata }) => {
      expect(metadata.annotations).toEqual({ "cronjob.kubernetes.io/instantiate": "manual" });
      expect(metadata.ownerReferences).toMatchObject([{ kind: "CronJob", name: "my-cronjob", controller: true }]);
    },
  },
  { run: "wait job/by-hand --for=condition=complete --timeout=60s", source: docs, out: /condition met/ },
  { run: "logs job/by-hand", source: docs, within: 5, out: /^Hello, Kubernetes!$/m },
  {
    run: "get cronjob my-cronjob -o json",
    source: "syncCronJob",
    within: 10,
    json: ({ status }) => expect(status.lastSuccessfulTime).toMatch(/^\d{4}-/),
  },
  { run: "delete cronjob my-cronjob", source: docs, out: /cronjob\.batch "my-cronjob" deleted/ },
  { run: "get jobs by-hand", source: "garbage collection", within: 10, code: 1, err: /not found/ },
  {
    run: "create cronjob tick --image=busybox:latest --schedule='*/5 * * * *' --restart=OnFailure -- echo tick",
    source: `${recorded}: protobuf body`,
    out: /cronjob\.batch\/tick created/,
  },
  {
    run: "create cronjob wrong --image=busybox:latest --schedule='61 * * * *' -- echo tick",
    source: "validateScheduleFormat",
    code: 1,
    err: /spec\.schedule: Invalid value: "61 \* \* \* \*": end of range \(61\) above maximum \(59\): 61/,
  },
  {
    run: "create cronjob zoned --image=busybox:latest --schedule='TZ=UTC 0 * * * *' -- echo tick",
    source: "validateScheduleFormat",
    code: 1,
    err: /cannot use TZ or CRON_TZ in schedule, use timeZone field instead/,
  },
  {
    run: 'patch cronjob tick --type=merge -p \'{"spec":{"suspend":true,"timeZone":"Europe/Berlin"}}\'',
    source: cronDocs,
    out: /patched/,
  },
  { run: "get cronjob tick", source: printers, out: /tick\s+\*\/5 \* \* \* \*\s+Europe\/Berlin\s+True\s+0\s+<none>/ },
  { run: "explain cronjob.spec.concurrencyPolicy", source: docs, global: true, out: /KIND:\s+CronJob/ },
  { run: "explain job.spec.podFailurePolicy.rules", source: docs, global: true, out: /onExitCodes/ },
  { run: "get all", source: "category all", out: [/cronjob\.batch\/tick/, /job\.batch\/pi/] },
  {
    run: "api-resources --api-group=batch",
    source: docs,
    global: true,
    out: [/cronjobs\s+cj\s+batch\/v1\s+true\s+CronJob/, /jobs\s+batch\/v1\s+true\s+Job/],
  },
  { run: "delete cronjob,job --all", source: docs, out: /job\.batch "pi" deleted/ },
];
