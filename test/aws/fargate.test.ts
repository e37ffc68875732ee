import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configMaps, type Deployment, deployments, events, nodes, type Pod, pods } from "#api";
import { isReason } from "#base";
import { type HttpClient, httpClient } from "#client";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * Pods of the Fargate node through the bundles: bound by the scheduler, started in a stand-in for ECS, and updated by
 * its events, in any order.
 */

let stage: Stage;
let client: HttpClient;
const lines: string[] = [];
const namespace = "default";
const polling = { timeout: 60_000, interval: 250 };
const ecsCalls = (action: string): number =>
  stage.cloud.counts.get(`AmazonEC2ContainerServiceV20141113.${action}`) ?? 0;

beforeAll(async () => {
  stage = await openStage({
    built: builtOnce(),
    whoIs,
    output: (name, line) => lines.push(`${name} ${line}`),
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
}, 120_000);

afterAll(async () => {
  client?.close();
  await stage?.stop();
});

const tolerations = [{ key: "skiff.dev/fargate", operator: "Exists" }];
const podsOf = async (app: string): Promise<Pod[]> =>
  (await client.list(pods, { namespace, labels: { matchLabels: { app } } as never })).items.filter(
    ({ metadata }) => metadata.labels?.["app"] === app,
  );
const podNamed = (name: string): Promise<Pod | undefined> =>
  client.get(pods, { namespace, name }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
const taskOf = (pod: Pod) => stage.ecs.tasks.findLast(({ startedBy }) => startedBy === pod.metadata.uid)!;
const bare = (name: string, more: object = {}): Pod =>
  ({
    metadata: { name, namespace },
    spec: { tolerations, containers: [{ name: "main", image: "busybox" }], ...more },
  }) as Pod;

describe("the node", () => {
  test("exists from the bootstrap on, is ready, and is tainted", async () => {
    const node = await client.get(nodes, { name: "fargate" });
    expect(node.spec?.taints).toContainEqual({ key: "skiff.dev/fargate", value: "true", effect: "NoSchedule" });
    expect(node.metadata.labels).toMatchObject({ "skiff.dev/fargate": "true", type: "virtual-kubelet" });
    expect(node.status?.conditions).toContainEqual(expect.objectContaining({ type: "Ready", status: "True" }));
  });
});

describe("a Deployment that tolerates Fargate", () => {
  test("runs as tasks of one definition", async () => {
    await client.create(configMaps, { metadata: { name: "settings", namespace }, data: { colour: "blue" } });
    await client.create(deployments, {
      metadata: { name: "web", namespace },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            tolerations,
            initContainers: [{ name: "first", image: "busybox", command: ["true"] }],
            containers: [
              {
                name: "web",
                image: "nginx:1.27",
                env: [
                  { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                  { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
                ],
                readinessProbe: { exec: { command: ["true"] } },
              },
            ],
          },
        },
      },
    } as Deployment);
    await expect
      .poll(() => client.get(deployments, { namespace, name: "web" }).then(({ status }) => status), polling)
      .toMatchObject({ readyReplicas: 2 });
    // Two concurrent pods may each have registered it.
    const families = new Set(stage.ecs.definitions.map(({ family }) => family));
    expect([families.size, stage.ecs.tasks.length]).toEqual([1, 2]);
    for (const pod of await podsOf("web")) {
      const { overrides } = taskOf(pod);
      expect(overrides.containerOverrides).toEqual([
        { name: "web", environment: [{ name: "POD", value: pod.metadata.name }] },
      ]);
      expect(pod.spec?.nodeName).toBe("fargate");
      expect(pod.status).toMatchObject({ phase: "Running", podIP: expect.stringMatching(/^10\.1\.0\./) });
      expect(pod.status?.initContainerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0 });
    }
  });

  test("repeated and late events change nothing", async () => {
    const [pod] = await podsOf("web");
    const task = taskOf(pod!);
    const event = stage.ecs.eventOf(task);
    await stage.event(event);
    const containers = task["containers"].map(({ name }: { name: string }) => ({ name, lastStatus: "PENDING" }));
    const late = { ...task, version: 2, lastStatus: "PENDING", containers };
    await Promise.all([stage.event(stage.ecs.eventOf(late)), stage.event(event)]);
    const after = await podNamed(pod!.metadata.name!);
    expect(after?.metadata.resourceVersion).toBe(pod!.metadata.resourceVersion);
  });

  test("a task that is stopped from outside fails its pod, which is replaced", async () => {
    const [pod] = await podsOf("web");
    stage.ecs.stopTask(taskOf(pod!)["taskArn"], "SpotInterruption", "Your Spot Task was interrupted.");
    await expect
      .poll(() => podNamed(pod!.metadata.name!).then((each) => each?.status), polling)
      .toMatchObject({ phase: "Failed", reason: "Terminated", message: "Your Spot Task was interrupted." });
    await expect.poll(async () => (await podsOf("web")).filter(isReady).length, polling).toBe(2);
    expect(stage.ecs.tasks.length).toBe(3);
  });

  test("is deleted with its tasks", async () => {
    await client.delete(deployments, { namespace, name: "web" });
    await expect.poll(async () => (await podsOf("web")).length, polling).toBe(0);
    expect(stage.ecs.tasks.map(({ lastStatus }) => lastStatus)).toEqual(["STOPPED", "STOPPED", "STOPPED"]);
  });
});

test("a definition that no pod uses is deregistered", async () => {
  const statuses = () => stage.ecs.definitions.map(({ status }) => status);
  /** Of another minute: the queue accepts the same key once a minute. */
  const resync = (minutes: number) => {
    const time = new Date(Date.now() + minutes * 60_000).toISOString();
    return stage.functions.get("tick")!.call({ time, resync: true });
  };
  await resync(0);
  await expect.poll(() => ecsCalls("ListTaskDefinitionFamilies"), polling).toBeGreaterThan(0);
  await expect.poll(() => ecsCalls("DescribeTaskDefinition"), polling).toBeGreaterThan(1);
  expect(new Set(statuses())).toEqual(new Set(["ACTIVE"]));
  for (const definition of stage.ecs.definitions) definition["registeredAt"] -= 2 * 24 * 3600;
  // A read returns the newest of a family, and there may be two.
  let looks = 0;
  const look = async () => {
    await resync(++looks);
    return new Set(statuses());
  };
  await expect.poll(look, { ...polling, interval: 1000 }).toEqual(new Set(["INACTIVE"]));
});

describe("a pod", () => {
  test("that is deleted by force stops its task", async () => {
    const pod = await client.create(pods, bare("forced"));
    await expect.poll(() => podNamed("forced").then((each) => each && isReady(each)), polling).toBe(true);
    await client.delete(pods, { namespace, name: "forced" }, { gracePeriodSeconds: 0 });
    await expect.poll(() => taskOf(pod)["lastStatus"], polling).toBe("STOPPED");
  });

  test("that Fargate cannot run fails, with the reason", async () => {
    await client.create(pods, bare("host", { volumes: [{ name: "all", hostPath: { path: "/" } }] }));
    await expect
      .poll(() => podNamed("host").then((each) => each?.status), polling)
      .toMatchObject({
        phase: "Failed",
        reason: "UnsupportedOnFargate",
        message: expect.stringContaining("spec.volumes{all}.hostPath"),
      });
    await expect
      .poll(async () => (await client.list(events, { namespace })).items, polling)
      .toContainEqual(expect.objectContaining({ type: "Warning", reason: "UnsupportedOnFargate" }));
  });

  test("whose image cannot be pulled waits, and runs once it can; a crashed one is started again", async () => {
    stage.ecs.failPulls("absent", "CannotPullContainerError: pull image manifest has been retried 1 time(s)");
    await client.create(pods, bare("pull", { containers: [{ name: "main", image: "absent" }] }));
    const crashing = await client.create(pods, bare("crash"));
    const waits = (name: string) =>
      podNamed(name).then((each) => each?.status?.containerStatuses?.[0]?.state?.waiting?.reason);
    await expect.poll(() => podNamed("crash").then((each) => each && isReady(each)), polling).toBe(true);
    stage.ecs.exit(taskOf(crashing)["taskArn"], "main", 3);
    await expect.poll(() => waits("pull"), polling).toBe("ErrImagePull");
    await expect.poll(() => waits("crash"), polling).toBe("CrashLoopBackOff");
    expect((await podNamed("pull"))?.status?.phase).toBe("Pending");
    stage.ecs.failPulls("absent", undefined);
    await expect.poll(() => podNamed("pull").then((each) => each && isReady(each)), polling).toBe(true);
    await expect.poll(() => podNamed("crash").then((each) => each && isReady(each)), polling).toBe(true);
    expect((await podNamed("crash"))?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: "Error" } },
    });
  });
});

describe("events of others", () => {
  const fargate = () => stage.functions.get("fargate")!;

  test("of another cluster change nothing", async () => {
    const pod = (await podNamed("crash"))!;
    const event = stage.ecs.eventOf({ ...taskOf(pod), version: 99, lastStatus: "STOPPED", desiredStatus: "STOPPED" });
    const { detail } = event;
    const calls = ecsCalls("StopTask");
    for (const clusterArn of [`${detail.clusterArn}-two`, detail.clusterArn.replace(/:\d{12}:/, ":210987654321:")]) {
      await fargate().call({ ...event, detail: { ...detail, clusterArn } });
    }
    expect((await podNamed("crash"))?.metadata.resourceVersion).toBe(pod.metadata.resourceVersion);
    expect(ecsCalls("StopTask")).toBe(calls);
  });

  test("that are no events of tasks, or too large, are refused", async () => {
    const event = stage.ecs.eventOf(stage.ecs.tasks[0]!);
    await expect(fargate().call({ ...event, detail: {} })).rejects.toThrow();
    await expect(fargate().call({ ...event, source: "mine" })).rejects.toThrow();
    const containers = Array.from({ length: 1000 }, () => ({ name: "x".repeat(200) }));
    await expect(fargate().call({ ...event, detail: { ...event["detail"], containers } })).rejects.toThrow();
  });

  test("of a deleted pod stop the task; of a service they do not", async () => {
    const task = { ...taskOf((await podNamed("crash"))!) };
    const calls = ecsCalls("StopTask");
    await stage.event(stage.ecs.eventOf({ ...task, startedBy: "ecs-svc/1234567890" }));
    expect(ecsCalls("StopTask")).toBe(calls);
    await stage.event(stage.ecs.eventOf({ ...task, startedBy: "00000000-0000-4000-8000-000000000000" }));
    expect(ecsCalls("StopTask")).toBe(calls + 1);
  });

  test("the clock finds the node ready", async () => {
    await stage.tick();
    const node = await client.get(nodes, { name: "fargate" });
    expect(node.status?.conditions?.find(({ type }) => type === "Ready")?.status).toBe("True");
    expect(node.spec?.taints?.map(({ key }) => key)).toEqual(["skiff.dev/fargate"]);
  });
});
