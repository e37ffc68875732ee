import {
  ConflictException,
  DeregisterTaskDefinitionCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  type ECSClient,
  ListTaskDefinitionFamiliesCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  StopTaskCommand,
} from "@aws-sdk/client-ecs";
import type { Random } from "#base";
import { RetryAfter } from "#reconcile";
import type { Definition, Override } from "./definition.ts";
import { Task } from "./task.ts";

/** ECS will not have it, however often it is asked. */
export class Refused extends Error {
  override name = "Refused";
}

export interface RunRequest {
  /** The ARN that `define` gave. */
  definition: string;
  /** Twice the same token is once the task. */
  token: string;
  startedBy: string;
  overrides: Override[];
}

/** Tasks of one ECS cluster. Every method rejects with RetryAfter when ECS asks for patience. */
export interface Tasks {
  /** The ARN of an active definition like this one; registers it where there is none. Rejects with Refused. */
  define(definition: Definition): Promise<string>;
  /** Families of active definitions whose names begin so. */
  families(prefix: string): Promise<string[]>;
  /**
   * Takes a family's definitions out of use and resolves with true, unless one was registered after this time, in
   * milliseconds since the epoch. Tasks that run keep theirs; who wants one again registers it.
   */
  retire(family: string, after: number): Promise<boolean>;
  run(request: RunRequest): Promise<Task>;
  /** Undefined when ECS does not know the task (yet, or any more: it forgets an hour after a task's end). */
  describe(arn: string): Promise<Task | undefined>;
  /** Of a task that has stopped or is not known, nothing becomes. */
  stop(arn: string, reason: string): Promise<void>;
}

export interface TasksOptions {
  ecs: Pick<ECSClient, "send">;
  cluster: string;
  subnets: string[];
  securityGroups: string[];
  random: Random;
}

/** Pauses before another try, in milliseconds: ECS registers one definition a second, and starts twenty tasks. */
const pause = { throttled: 1000, spread: 4000, noRoom: 30_000, misconfigured: 91_000 };

const throttled = /Throttl|TooManyRequests|Rate exceeded|Too many concurrent|RequestLimitExceeded/i;
const inactive = /TaskDefinition is inactive/i;
const noRoom = /LimitExceeded|Capacity is unavailable|RESOURCE|reached the limit/i;

/** Tasks on Fargate, in ECS. */
export function ecsTasks({ ecs, cluster, subnets, securityGroups, random }: TasksOptions): Tasks {
  /** Definitions that were there when they were last looked for, by family. */
  const known = new Map<string, string>();
  const patience = (error: unknown): never => {
    const { name = "", message = "" } = error as Error;
    const text = `${name}: ${message}`;
    if (throttled.test(text))
      throw new RetryAfter(pause.throttled + Math.floor(random.fraction() * pause.spread), text);
    if (noRoom.test(text)) throw new RetryAfter(pause.noRoom, text);
    throw error;
  };
  const describeOne = async (arn: string): Promise<Task | undefined> => {
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: [arn] })).catch(patience);
    return tasks[0] && taskOf(tasks[0]);
  };
  return {
    async define(definition) {
      const { family } = definition;
      const there = known.get(family) ?? (await active(ecs, family).catch(patience))?.arn;
      const arn = there ?? (await register(ecs, definition).catch(patience));
      known.set(family, arn);
      return arn;
    },
    async families(prefix) {
      const found: string[] = [];
      let nextToken: string | undefined;
      do {
        const asked = { familyPrefix: prefix, status: "ACTIVE", nextToken } as const;
        const page = await ecs.send(new ListTaskDefinitionFamiliesCommand(asked)).catch(patience);
        found.push(...(page.families ?? []));
        nextToken = page.nextToken;
      } while (nextToken !== undefined);
      return found;
    },
    async retire(family, after) {
      // More than one only where two registered it at once.
      for (;;) {
        const found = await active(ecs, family).catch(patience);
        if (!found) return true;
        if (found.registered > after) return false;
        known.delete(family);
        await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: found.arn })).catch(patience);
      }
    },
    async run({ definition, token, startedBy, overrides }) {
      const command = new RunTaskCommand({
        cluster,
        taskDefinition: definition,
        count: 1,
        clientToken: token,
        startedBy,
        launchType: "FARGATE",
        platformVersion: "1.4.0",
        networkConfiguration: {
          // Without a NAT gateway a task has no other way out; with one, the address is not used.
          awsvpcConfiguration: { subnets, securityGroups, assignPublicIp: "ENABLED" },
        },
        overrides: { containerOverrides: overrides },
      });
      const answer = await ecs.send(command).catch((error: unknown) => {
        // The token has been used, with a ConfigMap that was different then: that task is the one.
        if (error instanceof ConflictException && error.resourceIds?.[0]) return { conflict: error.resourceIds[0] };
        // A definition may have been taken out of use: then it is looked for again.
        known.clear();
        return explained(error, patience);
      });
      if ("conflict" in answer) {
        const task = await describeOne(answer.conflict);
        if (!task) throw new RetryAfter(pause.throttled, "the task of an earlier try is not to be seen yet");
        return task;
      }
      const [task] = answer.tasks ?? [];
      if (task) return taskOf(task);
      const [failure] = answer.failures ?? [];
      throw new RetryAfter(pause.noRoom, `ECS could not run a task: ${failure?.reason ?? "no reason was told"}`);
    },
    describe: describeOne,
    async stop(task, reason) {
      await ecs.send(new StopTaskCommand({ cluster, task, reason })).catch((error: unknown) => {
        if (/not found/i.test((error as Error).message)) return;
        patience(error);
      });
    },
  };
}

/** Whatever else RunTask refuses is about the account, not the pod: it is tried again, slowly, until it is put right. */
function explained(error: unknown, patience: (error: unknown) => never): never {
  const { $fault, name, message } = error as Error & { $fault?: string };
  if (inactive.test(message)) throw new RetryAfter(pause.throttled, `${name}: ${message}`);
  try {
    return patience(error);
  } catch (reason) {
    if (reason === error && $fault === "client") throw new RetryAfter(pause.misconfigured, `${name}: ${message}`);
    throw reason;
  }
}

async function active(
  ecs: TasksOptions["ecs"],
  family: string,
): Promise<{ arn: string; registered: number } | undefined> {
  try {
    const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: family }));
    const { taskDefinitionArn: arn, status, registeredAt } = taskDefinition ?? {};
    return arn !== undefined && status === "ACTIVE" ? { arn, registered: registeredAt?.getTime() ?? 0 } : undefined;
  } catch (error) {
    const { name, message } = error as Error;
    if (name === "ClientException" && /unable to describe/i.test(message)) return undefined;
    throw error;
  }
}

/** Two who register at once make two revisions of the same content: either will do. */
async function register(ecs: TasksOptions["ecs"], definition: Definition): Promise<string> {
  try {
    const { taskDefinition } = await ecs.send(new RegisterTaskDefinitionCommand(definition));
    if (!taskDefinition?.taskDefinitionArn) throw new Error("ECS registered a definition and did not name it");
    return taskDefinition.taskDefinitionArn;
  } catch (error) {
    const { name, message } = error as Error;
    const isFinal = ["ClientException", "InvalidParameterException"].includes(name);
    if (isFinal && !throttled.test(message) && !noRoom.test(message)) throw new Refused(message);
    throw error;
  }
}

/** A task of an answer in the form that events have: times as text. */
const taskOf = (task: object): Task => Task.parse(JSON.parse(JSON.stringify(task)));
