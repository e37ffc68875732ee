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
import { Refused } from "./provider.ts";
import { Task } from "./task.ts";

export interface RunRequest {
  /** The ARN from `define`. */
  definition: string;
  /** Requests with the same token yield the same task. */
  token: string;
  startedBy: string;
  overrides: Override[];
}

/** Tasks of one ECS cluster. Every method rejects with RetryAfter when ECS throttles or is out of capacity. */
export interface Tasks {
  /** The ARN of an active definition of this family, which is registered if none exists. Rejects with Refused. */
  define(definition: Definition): Promise<string>;
  /** Families of active definitions whose names begin with `prefix`. */
  families(prefix: string): Promise<string[]>;
  /**
   * Deregisters a family's definitions and resolves with true; resolves with false when one was registered after
   * `after` (milliseconds since the epoch). Running tasks keep theirs; `define` registers the family again.
   */
  retire(family: string, after: number): Promise<boolean>;
  run(request: RunRequest): Promise<Task>;
  /** Undefined when ECS does not know the task yet, or has forgotten it (an hour after the task's end). */
  describe(arn: string): Promise<Task | undefined>;
  /** No effect on a task that has stopped or is unknown. */
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
export class EcsTasks implements Tasks {
  readonly #options: TasksOptions;
  /** Definitions that existed when they were last read, by family. */
  readonly #known = new Map<string, string>();

  constructor(options: TasksOptions) {
    this.#options = options;
  }

  async define(definition: Definition): Promise<string> {
    const { ecs } = this.#options;
    const { family } = definition;
    const existing = this.#known.get(family) ?? (await active(ecs, family).catch(this.#fail))?.arn;
    const arn = existing ?? (await register(ecs, definition).catch(this.#fail));
    this.#known.set(family, arn);
    return arn;
  }

  async families(prefix: string): Promise<string[]> {
    const found: string[] = [];
    let nextToken: string | undefined;
    do {
      const input = { familyPrefix: prefix, status: "ACTIVE", nextToken } as const;
      const page = await this.#options.ecs.send(new ListTaskDefinitionFamiliesCommand(input)).catch(this.#fail);
      found.push(...(page.families ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return found;
  }

  async retire(family: string, after: number): Promise<boolean> {
    const { ecs } = this.#options;
    // More than one exists only when two were registered at once.
    for (;;) {
      const found = await active(ecs, family).catch(this.#fail);
      if (!found) return true;
      if (found.registered > after) return false;
      this.#known.delete(family);
      await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: found.arn })).catch(this.#fail);
    }
  }

  async run(request: RunRequest): Promise<Task> {
    const answer = await this.#options.ecs.send(this.#runCommand(request)).catch((error: unknown) => {
      // The token was used before, with another version of a ConfigMap: that task is the one.
      if (error instanceof ConflictException && error.resourceIds?.[0]) return { conflict: error.resourceIds[0] };
      // The definition may have been deregistered: read it again next time.
      this.#known.clear();
      return explained(error, this.#fail);
    });
    if ("conflict" in answer) {
      const task = await this.describe(answer.conflict);
      if (!task) throw new RetryAfter(pause.throttled, "ECS does not show the task of an earlier try yet");
      return task;
    }
    const [task] = answer.tasks ?? [];
    if (task) return taskOf(task);
    const [failure] = answer.failures ?? [];
    throw new RetryAfter(pause.noRoom, `ECS could not run a task: ${failure?.reason ?? "no reason was given"}`);
  }

  async describe(arn: string): Promise<Task | undefined> {
    const { ecs, cluster } = this.#options;
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: [arn] })).catch(this.#fail);
    return tasks[0] && taskOf(tasks[0]);
  }

  async stop(task: string, reason: string): Promise<void> {
    const { ecs, cluster } = this.#options;
    await ecs.send(new StopTaskCommand({ cluster, task, reason })).catch((error: unknown) => {
      if (/not found/i.test((error as Error).message)) return;
      this.#fail(error);
    });
  }

  #runCommand({ definition, token, startedBy, overrides }: RunRequest): RunTaskCommand {
    const { cluster, subnets, securityGroups } = this.#options;
    return new RunTaskCommand({
      cluster,
      taskDefinition: definition,
      count: 1,
      clientToken: token,
      startedBy,
      launchType: "FARGATE",
      platformVersion: "1.4.0",
      networkConfiguration: {
        // Without a NAT gateway a task has no other way to the internet; with one, the address is not used.
        awsvpcConfiguration: { subnets, securityGroups, assignPublicIp: "ENABLED" },
      },
      overrides: { containerOverrides: overrides },
    });
  }

  /** Throws RetryAfter for errors that pass with time, and every other error as it is. */
  #fail = (error: unknown): never => {
    const { name = "", message = "" } = error as Error;
    const text = `${name}: ${message}`;
    if (throttled.test(text)) {
      throw new RetryAfter(pause.throttled + Math.floor(this.#options.random.fraction() * pause.spread), text);
    }
    if (noRoom.test(text)) throw new RetryAfter(pause.noRoom, text);
    throw error;
  };
}

/** Every other refusal of RunTask concerns the account, not the pod: it is retried, slowly, until it is corrected. */
function explained(error: unknown, fail: (error: unknown) => never): never {
  const { $fault, name, message } = error as Error & { $fault?: string };
  if (inactive.test(message)) throw new RetryAfter(pause.throttled, `${name}: ${message}`);
  try {
    return fail(error);
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

/** Two concurrent registrations create two revisions of the same content: either is good. */
async function register(ecs: TasksOptions["ecs"], definition: Definition): Promise<string> {
  try {
    const { taskDefinition } = await ecs.send(new RegisterTaskDefinitionCommand(definition));
    if (!taskDefinition?.taskDefinitionArn) throw new Error("ECS registered a definition without an ARN");
    return taskDefinition.taskDefinitionArn;
  } catch (error) {
    const { name, message } = error as Error;
    const isFinal = ["ClientException", "InvalidParameterException"].includes(name);
    if (isFinal && !throttled.test(message) && !noRoom.test(message)) throw new Refused(message);
    throw error;
  }
}

/** A task of a response in the form that events have: times as text. */
const taskOf = (task: object): Task => Task.parse(JSON.parse(JSON.stringify(task)));
