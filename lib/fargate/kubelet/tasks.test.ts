import { ConflictException } from "@aws-sdk/client-ecs";
import { describe, expect, test } from "vitest";
import { systemRandom } from "#base";
import { RetryAfter } from "#reconcile";
import type { Definition } from "./definition.ts";
import { Refused } from "./provider.ts";
import { EcsTasks } from "./tasks.ts";

const task = {
  taskArn: "arn:aws:ecs:eu-west-1:1:task/c/a",
  clusterArn: "arn:aws:ecs:eu-west-1:1:cluster/c",
  version: 1,
  lastStatus: "PROVISIONING",
  desiredStatus: "RUNNING",
  createdAt: new Date("2030-01-01T00:00:00Z"),
};
const definition = { family: "skiff-demo-1" } as Definition;
const failure = (name: string, message = "", $fault = "client") => Object.assign(new Error(message), { name, $fault });
const noSuch = failure("ClientException", "Unable to describe task definition.");

type Answers = Record<string, (input: never) => unknown>;
/** ECS with fixed responses, and the calls that it received. */
function open(answers: Answers) {
  const calls: string[] = [];
  const inputs: Record<string, unknown>[] = [];
  const ecs = {
    send: async (command: { constructor: { name: string }; input: Record<string, unknown> }) => {
      const action = command.constructor.name.replace(/Command$/, "");
      calls.push(action);
      inputs.push(command.input);
      return answers[action]?.(command.input as never) ?? {};
    },
  } as never;
  const tasks = new EcsTasks({ ecs, cluster: "c", subnets: ["s"], securityGroups: ["g"], random: systemRandom });
  return { tasks, calls, inputs };
}
const fail = (error: Error) => (): never => {
  throw error;
};
const run = { definition: "d", token: "t", startedBy: "u", overrides: [] };

describe("definitions", () => {
  test("uses an existing definition, which is read once", async () => {
    const { tasks, calls } = open({
      DescribeTaskDefinition: () => ({ taskDefinition: { taskDefinitionArn: "arn:1", status: "ACTIVE" } }),
    });
    expect([await tasks.define(definition), await tasks.define(definition)]).toEqual(["arn:1", "arn:1"]);
    expect(calls).toEqual(["DescribeTaskDefinition"]);
  });

  test("registers a definition that does not exist or is inactive", async () => {
    const inactive = { taskDefinition: { taskDefinitionArn: "arn:1", status: "INACTIVE" } };
    for (const DescribeTaskDefinition of [fail(noSuch), () => inactive]) {
      const RegisterTaskDefinition = () => ({ taskDefinition: { taskDefinitionArn: "arn:2" } });
      expect(await open({ DescribeTaskDefinition, RegisterTaskDefinition }).tasks.define(definition)).toBe("arn:2");
    }
  });

  test.each([
    [failure("ThrottlingException", "Rate exceeded"), RetryAfter],
    [
      failure("ClientException", "Too many concurrent attempts to create a new revision of the specified family."),
      RetryAfter,
    ],
    [failure("ClientException", "Container.image contains invalid characters."), Refused],
    [failure("ServerException", "", "server"), Error],
  ])("%s", async (error, type) => {
    const { tasks } = open({ DescribeTaskDefinition: fail(noSuch), RegisterTaskDefinition: fail(error) });
    await expect(tasks.define(definition)).rejects.toBeInstanceOf(type);
  });
});

describe("unused definitions", () => {
  const day = 24 * 3_600_000;
  const registeredAt = new Date("2030-01-01T00:00:00Z");
  const there = { taskDefinition: { taskDefinitionArn: "arn:1", status: "ACTIVE", registeredAt } };

  test("are listed over all pages", async () => {
    const pages: Record<string, object> = {
      "": { families: ["a", "b"], nextToken: "2" },
      2: { families: ["c"] },
    };
    const { tasks, inputs } = open({
      ListTaskDefinitionFamilies: ({ nextToken = "" }: { nextToken?: string }) => pages[nextToken],
    });
    expect(await tasks.families("skiff-demo-")).toEqual(["a", "b", "c"]);
    expect(inputs[0]).toMatchObject({ familyPrefix: "skiff-demo-", status: "ACTIVE" });
  });

  test("are removed with all their revisions, and are not cached any more", async () => {
    const left = [there, there];
    const { tasks, calls } = open({ DescribeTaskDefinition: () => left[0] ?? fail(noSuch)() });
    const DeregisterTaskDefinition = () => left.shift();
    const again = open({ DescribeTaskDefinition: () => left[0] ?? fail(noSuch)(), DeregisterTaskDefinition });
    await tasks.define(definition);
    expect(calls).toEqual(["DescribeTaskDefinition"]);
    expect(await again.tasks.retire(definition.family, registeredAt.getTime())).toBe(true);
    const one = ["DescribeTaskDefinition", "DeregisterTaskDefinition"];
    expect(again.calls).toEqual([...one, ...one, "DescribeTaskDefinition"]);
  });

  test("stay while they are young; throttled calls are repeated", async () => {
    const young = open({ DescribeTaskDefinition: () => there });
    expect(await young.tasks.retire("f", registeredAt.getTime() - day)).toBe(false);
    expect(young.calls).toEqual(["DescribeTaskDefinition"]);
    const DeregisterTaskDefinition = fail(failure("ThrottlingException", "Rate exceeded"));
    const busy = open({ DescribeTaskDefinition: () => there, DeregisterTaskDefinition }).tasks;
    await expect(busy.retire("f", registeredAt.getTime())).rejects.toBeInstanceOf(RetryAfter);
  });
});

describe("running", () => {
  test("runs one task on Fargate, under its token", async () => {
    const { tasks, inputs } = open({ RunTask: () => ({ tasks: [task] }) });
    expect(await tasks.run(run)).toMatchObject({ createdAt: "2030-01-01T00:00:00.000Z", containers: [] });
    expect(inputs[0]).toMatchObject({
      count: 1,
      clientToken: "t",
      startedBy: "u",
      launchType: "FARGATE",
      networkConfiguration: { awsvpcConfiguration: { subnets: ["s"], securityGroups: ["g"] } },
    });
  });

  test("a token that was used with another request returns the task of that request", async () => {
    const conflict = new ConflictException({ message: "", $metadata: {}, resourceIds: [task.taskArn] });
    const { tasks, calls } = open({ RunTask: fail(conflict), DescribeTasks: () => ({ tasks: [task] }) });
    expect((await tasks.run(run)).taskArn).toBe(task.taskArn);
    expect(calls).toEqual(["RunTask", "DescribeTasks"]);
    await expect(open({ RunTask: fail(conflict) }).tasks.run(run)).rejects.toThrow(RetryAfter);
  });

  test.each([
    ["throttled", failure("ThrottlingException"), 1000, 5000],
    ["a definition that went", failure("ClientException", "TaskDefinition is inactive"), 1000, 1000],
    ["no room", failure("ClientException", "Capacity is unavailable at this time."), 30_000, 30_000],
    ["the account's quota", failure("LimitExceededException"), 30_000, 30_000],
    ["something is wrong with the account", failure("InvalidParameterException", "No such subnet"), 91_000, 91_000],
  ])("%s: later", async (_, error, least, most) => {
    const thrown = await open({ RunTask: fail(error) })
      .tasks.run(run)
      .catch((one: unknown) => one);
    expect(thrown).toBeInstanceOf(RetryAfter);
    const { milliseconds } = thrown as RetryAfter;
    expect(milliseconds >= least && milliseconds <= most).toBe(true);
  });

  test("treats a failure in the response as an error, and retries AWS's own failures", async () => {
    const failures = [{ reason: "RESOURCE:ENI" }];
    await expect(open({ RunTask: () => ({ tasks: [], failures }) }).tasks.run(run)).rejects.toThrow("RESOURCE:ENI");
    const broken = open({ RunTask: fail(failure("ServerException", "", "server")) }).tasks.run(run);
    await expect(broken).rejects.not.toThrow(RetryAfter);
  });

  test("reads a definition again after a failure", async () => {
    const { tasks, calls } = open({
      DescribeTaskDefinition: () => ({ taskDefinition: { taskDefinitionArn: "arn:1", status: "ACTIVE" } }),
      RunTask: fail(failure("ClientException", "TaskDefinition is inactive")),
    });
    await tasks.define(definition);
    await expect(tasks.run(run)).rejects.toThrow(RetryAfter);
    await tasks.define(definition);
    expect(calls).toEqual(["DescribeTaskDefinition", "RunTask", "DescribeTaskDefinition"]);
  });
});

test("stopping an unknown task has no effect", async () => {
  const gone = failure("InvalidParameterException", "The referenced task was not found.");
  await open({ StopTask: fail(gone) }).tasks.stop("arn:a", "why");
  await expect(open({ StopTask: fail(failure("ThrottlingException")) }).tasks.stop("arn:a", "")).rejects.toThrow(
    RetryAfter,
  );
  expect(await open({}).tasks.describe("arn:a")).toBeUndefined();
});
