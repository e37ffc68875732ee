import { randomUUID } from "node:crypto";
import { type Service, ServiceError } from "./cloud.ts";

// biome-ignore lint/suspicious/noExplicitAny: what a service takes and gives is JSON
type Json = Record<string, any>;

export interface EcsOptions {
  /** ARN of the only cluster. */
  cluster: string;
  /** Definitions of other families are denied, as by the role's policy. */
  families: string;
  /** Receives the events of EventBridge. */
  emit: (event: Json) => Promise<void>;
  /** Milliseconds between two states of a task. */
  step?: number;
}

/** ECS, as far as tasks on Fargate. */
export interface Ecs {
  service: Service;
  /** Every task that was ever started, in its current state. */
  readonly tasks: readonly Json[];
  /** How many definitions were registered. */
  readonly definitions: readonly Json[];
  /** Stops a task from outside, as an operator or Spot does. */
  stopTask(arn: string, stopCode: string, reason: string): void;
  /** Ends a container's program; an essential one ends its task. */
  exit(arn: string, container: string, exitCode: number, reason?: string): void;
  /** The next tasks whose image name contains this fail to start, with this reason. */
  failPulls(image: string, reason: string | undefined): void;
  /** The event with a task's state. */
  eventOf(task: Json): Json;
  stop(): void;
}

const sizes: Record<string, [number, number]> = {
  256: [512, 2048],
  512: [1024, 4096],
  1024: [2048, 8192],
  2048: [4096, 16_384],
  4096: [8192, 30_720],
  8192: [16_384, 61_440],
  16384: [32_768, 122_880],
};

/** Tasks without containers: they start after a moment, and stop on request. */
export function ecsService({ cluster, families, emit, step = 150 }: EcsOptions): Ecs {
  const tasks: Json[] = [];
  const definitions: Json[] = [];
  const tokens = new Map<string, { input: string; task: Json }>();
  const failing = new Map<string, string>();
  const timers = new Set<NodeJS.Timeout>();
  const [, , , region, account] = cluster.split(":");
  const name = cluster.split("/").at(-1)!;
  const later = (go: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      go();
    }, step);
    timers.add(timer);
  };
  const eventOf = (task: Json): Json => ({
    version: "0",
    id: randomUUID(),
    "detail-type": "ECS Task State Change",
    source: "aws.ecs",
    account,
    region,
    time: new Date().toISOString(),
    resources: [task["taskArn"]],
    detail: structuredClone(task),
  });
  const change = (task: Json, to: Json): void => {
    Object.assign(task, to, { version: task["version"] + 1, updatedAt: new Date().toISOString() });
    void emit(eventOf(task)).catch(() => {});
  };
  const definitionOf = (task: Json): Json =>
    definitions.find(({ taskDefinitionArn }) => taskDefinitionArn === task["taskDefinitionArn"])!;
  const each = (task: Json, to: (container: Json, definition: Json) => Json): Json[] =>
    task["containers"].map((container: Json) => ({
      ...container,
      ...to(
        container,
        definitionOf(task)["containerDefinitions"].find((one: Json) => one["name"] === container["name"]),
      ),
    }));

  const halt = (task: Json, stopCode: string, stoppedReason: string, exitCode: number | undefined): void => {
    if (task["desiredStatus"] === "STOPPED") return;
    const stopped = { desiredStatus: "STOPPED", stopCode, stoppedReason };
    change(task, { ...stopped, lastStatus: "DEACTIVATING", stoppingAt: new Date().toISOString() });
    later(() =>
      change(task, {
        lastStatus: "STOPPED",
        stoppedAt: new Date().toISOString(),
        containers: each(task, (container) => ({
          lastStatus: "STOPPED",
          ...(container["lastStatus"] === "RUNNING" && exitCode !== undefined ? { exitCode } : {}),
        })),
      }),
    );
  };

  /** RunTask answers with PROVISIONING; the network follows with PENDING, the containers with RUNNING. */
  const start = (task: Json): void => {
    later(() => {
      if (task["desiredStatus"] === "STOPPED") return;
      const address = `10.1.0.${tasks.indexOf(task) + 4}`;
      const details = [{ name: "privateIPv4Address", value: address }];
      change(task, {
        lastStatus: "PENDING",
        attachments: [{ id: randomUUID(), type: "eni", status: "ATTACHED", details }],
      });
      later(() => {
        if (task["desiredStatus"] === "STOPPED") return;
        const bad = definitionOf(task)["containerDefinitions"].find((one: Json) =>
          [...failing.keys()].some((image) => one["image"].includes(image)),
        );
        if (bad) {
          const reason = failing.get([...failing.keys()].find((image) => bad["image"].includes(image))!)!;
          const containers = each(task, (container) => (container["name"] === bad["name"] ? { reason } : {}));
          task["containers"] = containers;
          return halt(task, "TaskFailedToStart", reason, undefined);
        }
        const inits = new Set(
          definitionOf(task)["containerDefinitions"].flatMap((one: Json) =>
            (one["dependsOn"] ?? [])
              .filter(({ condition }: Json) => condition === "SUCCESS")
              .map(({ containerName }: Json) => containerName),
          ),
        );
        change(task, {
          lastStatus: "RUNNING",
          startedAt: new Date().toISOString(),
          containers: each(task, (container, definition) => ({
            lastStatus: inits.has(container["name"]) ? "STOPPED" : "RUNNING",
            runtimeId: `${task["taskArn"].split("/").at(-1)}-${container["name"]}`,
            imageDigest: `sha256:${"0".repeat(64)}`,
            networkInterfaces: [{ privateIpv4Address: address }],
            ...(inits.has(container["name"]) ? { exitCode: 0 } : {}),
            ...(definition["healthCheck"] ? { healthStatus: "HEALTHY" } : {}),
          })),
        });
      });
    });
  };

  const actions: Record<string, (input: Json) => Json> = {
    RegisterTaskDefinition(input) {
      check(input, families);
      const revision = definitions.filter(({ family }) => family === input["family"]).length + 1;
      const taskDefinitionArn = `${cluster.split(":cluster/")[0]}:task-definition/${input["family"]}:${revision}`;
      const registeredAt = Date.now() / 1000;
      definitions.push({ ...input, revision, taskDefinitionArn, status: "ACTIVE", registeredAt });
      return { taskDefinition: definitions.at(-1)! };
    },
    DescribeTaskDefinition({ taskDefinition }) {
      const found = definitions.findLast(({ family, status }) => family === taskDefinition && status === "ACTIVE");
      if (!found) throw new ServiceError("ClientException", "Unable to describe task definition.");
      return { taskDefinition: found };
    },
    DeregisterTaskDefinition({ taskDefinition }) {
      const found = definitions.find(({ taskDefinitionArn }) => taskDefinitionArn === taskDefinition)!;
      found["status"] = "INACTIVE";
      return { taskDefinition: found };
    },
    // Two on a page, so that there are several pages.
    ListTaskDefinitionFamilies({ familyPrefix, status, nextToken = "0" }) {
      const fit = definitions.filter((one) => one["family"].startsWith(familyPrefix) && one["status"] === status);
      const all = [...new Set(fit.map(({ family }) => family))].sort();
      const end = Number(nextToken) + 2;
      return { families: all.slice(Number(nextToken), end), ...(end < all.length ? { nextToken: String(end) } : {}) };
    },
    RunTask(input) {
      if (input["cluster"] !== name) throw new ServiceError("ClusterNotFoundException", "Cluster not found.");
      if (!definitions.some(({ taskDefinitionArn }) => taskDefinitionArn === input["taskDefinition"])) {
        throw new ServiceError("ClientException", "TaskDefinition not found.");
      }
      if (
        !definitions.some((one) => one["taskDefinitionArn"] === input["taskDefinition"] && one["status"] === "ACTIVE")
      )
        throw new ServiceError("ClientException", "TaskDefinition is inactive");
      if (JSON.stringify(input["overrides"] ?? {}).length > 8192) throw new ServiceError("InvalidParameterException");
      const token = input["clientToken"];
      const known = tokens.get(token);
      if (known && known.input !== JSON.stringify(input)) throw new ServiceError("ConflictException");
      const task = known?.task ?? made(input);
      tokens.set(token, { input: JSON.stringify(input), task });
      if (!known) start(task);
      return { tasks: [answered(task)], failures: [] };
    },
    DescribeTasks({ tasks: arns }) {
      const found = tasks.filter(({ taskArn }) => arns.includes(taskArn));
      return { tasks: found.map(answered), failures: [] };
    },
    StopTask({ task: arn, reason }) {
      const task = tasks.find(({ taskArn }) => taskArn === arn);
      if (!task) throw new ServiceError("InvalidParameterException", "The referenced task was not found.");
      halt(task, "UserInitiated", reason, 143);
      return { task: answered(task) };
    },
  };

  const made = (input: Json): Json => {
    const taskArn = `${cluster.replace(":cluster/", ":task/")}/${randomUUID().replaceAll("-", "")}`;
    const task: Json = {
      taskArn,
      clusterArn: cluster,
      taskDefinitionArn: input["taskDefinition"],
      startedBy: input["startedBy"],
      overrides: input["overrides"],
      launchType: "FARGATE",
      group: `family:${input["taskDefinition"].split("/").at(-1).split(":")[0]}`,
      version: 1,
      lastStatus: "PROVISIONING",
      desiredStatus: "RUNNING",
      createdAt: new Date().toISOString(),
      attachments: [],
    };
    task["containers"] = definitionOf(task)["containerDefinitions"].map((one: Json) => ({
      name: one["name"],
      image: one["image"],
      lastStatus: "PENDING",
      taskArn,
    }));
    tasks.push(task);
    return task;
  };

  return {
    tasks,
    definitions,
    eventOf,
    service: async (action, input) => {
      const act = actions[action];
      if (!act) throw new ServiceError("UnknownOperationException", action);
      return act(input);
    },
    stopTask(arn, stopCode, reason) {
      halt(tasks.find(({ taskArn }) => taskArn === arn)!, stopCode, reason, 143);
    },
    exit(arn, container, exitCode, reason) {
      const task = tasks.find(({ taskArn }) => taskArn === arn)!;
      const ended = { lastStatus: "STOPPED", exitCode, ...(reason === undefined ? {} : { reason }) };
      const containers = each(task, (one) => (one["name"] === container ? ended : {}));
      const { essential } = definitionOf(task)["containerDefinitions"].find((one: Json) => one["name"] === container);
      if (!essential) return change(task, { containers });
      task["containers"] = containers;
      halt(task, "EssentialContainerExited", "Essential container in task exited", 143);
    },
    failPulls(image, reason) {
      if (reason === undefined) failing.delete(image);
      else failing.set(image, reason);
    },
    stop() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/** Times in answers are seconds; in events they are text. */
const answered = (task: Json): Json =>
  Object.fromEntries(
    Object.entries(task).map(([key, value]) => [key, key.endsWith("At") ? Date.parse(value) / 1000 : value]),
  );

/** The reasons for which ECS rejects a definition. */
function check({ family, cpu, memory, containerDefinitions: containers = [] }: Json, families: string): void {
  const refuse = (message: string): never => {
    throw new ServiceError("ClientException", message);
  };
  if (!family.startsWith(families)) throw new ServiceError("AccessDeniedException", family);
  const [least, most] = sizes[cpu] ?? refuse("No Fargate configuration exists for given values.");
  if (memory < least! || memory > most!) refuse("No Fargate configuration exists for given values.");
  if (containers.length < 1 || containers.length > 10) refuse("Too many containers.");
  if (!containers.some(({ essential }: Json) => essential)) refuse("There must be an essential container.");
  const names = containers.map(({ name }: Json) => name);
  let taken = 0;
  for (const {
    memory: hard,
    memoryReservation: soft,
    stopTimeout,
    dependsOn = [],
    restartPolicy,
    ...one
  } of containers) {
    taken += hard ?? soft ?? 0;
    if (soft !== undefined && soft >= (hard ?? Number.POSITIVE_INFINITY)) refuse("memoryReservation above memory");
    if (stopTimeout < 2 || stopTimeout > 120) refuse("stopTimeout");
    if (restartPolicy && restartPolicy.restartAttemptPeriod < 60) refuse("restartAttemptPeriod");
    for (const { containerName, condition } of dependsOn) {
      const other = containers.find(({ name }: Json) => name === containerName);
      if (!names.includes(containerName)) refuse(`${one["name"]} depends on ${containerName}`);
      if (condition === "HEALTHY" && !other.healthCheck) refuse("dependsOn HEALTHY needs a health check");
      if (condition === "SUCCESS" && (other.essential || other.restartPolicy)) refuse("dependsOn SUCCESS");
    }
  }
  if (taken > Number(memory)) refuse("The containers take more than the task has.");
}
