import { expect, test } from "vitest";
import type { Container as RuntimeContainer, Sandbox } from "#agent/runtime";
import type { Container } from "#api";
import { restarts } from "#kubelet";
import { planFor, viewOf } from "./plan.ts";
import { makeContainer, makePod } from "./testing.ts";

const health = { started: () => true, killReason: () => undefined };

const running = (
  name: string,
  state: RuntimeContainer["state"],
  changes: Partial<RuntimeContainer> = {},
): RuntimeContainer => ({
  ...{ id: `${name}-${changes.attempt ?? 0}`, sandboxId: "s0", name, attempt: 0, state, createdAt: 0, image: "" },
  ...{ imageId: "", labels: {}, annotations: {} },
  ...changes,
});
const sandbox = (containers: RuntimeContainer[], changes: Partial<Sandbox> = {}): Sandbox => ({
  ...{ id: "s0", name: "p", namespace: "default", uid: "u", attempt: 0, state: "ready" as const, createdAt: 0 },
  ...{ ips: [], labels: {}, annotations: {}, containers },
  ...changes,
});
const names = (containers: Container[]): string[] => containers.map(({ name }) => name);

test("plans a missing sandbox, and the start of a container that was created and never started", () => {
  const pod = makePod("p");
  expect(planFor(pod, viewOf([]), health)).toMatchObject({ sandbox: true, start: [], finished: false });
  const plan = planFor(pod, viewOf([sandbox([running("main", "created")])]), health);
  expect(names(plan.start)).toEqual(["main"]);
});

test("replaces a lost sandbox only if a container would run again", () => {
  const exited = (exitCode: number) => [sandbox([running("main", "exited", { exitCode })], { state: "notReady" })];
  const pod = (restartPolicy: string) => makePod("p", { spec: { restartPolicy } });
  expect(planFor(pod("Always"), viewOf(exited(0)), health).sandbox).toBe(true);
  expect(planFor(pod("OnFailure"), viewOf(exited(1)), health).sandbox).toBe(true);
  expect(planFor(pod("OnFailure"), viewOf(exited(0)), health)).toMatchObject({ sandbox: false, finished: true });
  expect(planFor(pod("Never"), viewOf(exited(1)), health)).toMatchObject({ sandbox: false, finished: true });
});

test("runs init containers again in a new sandbox before the main containers", () => {
  const pod = makePod("p", { spec: { initContainers: [makeContainer("init")] } });
  const old = sandbox([running("init", "exited", { exitCode: 0 }), running("main", "exited", { exitCode: 137 })], {
    state: "notReady",
  });
  const next = sandbox([], { id: "s1", attempt: 1 });
  expect(names(planFor(pod, viewOf([next, old]), health).start)).toEqual(["init"]);
  // Once a main container exists, a missing init container is not started again.
  expect(names(planFor(pod, viewOf([sandbox([running("main", "running")])]), health).start)).toEqual([]);
});

test("a sidecar delays the containers after it until it has started", () => {
  const side = makeContainer("side", { restartPolicy: "Always" });
  const pod = makePod("p", { spec: { initContainers: [side] } });
  const view = viewOf([sandbox([running("side", "running")])]);
  expect(names(planFor(pod, view, { ...health, started: () => false }).start)).toEqual([]);
  expect(names(planFor(pod, view, health).start)).toEqual(["main"]);
});

test("a container's own restart policy and rules override the pod's", () => {
  const pod = makePod("p", { spec: { restartPolicy: "Never" } });
  const rules = [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }];
  const ruled = makeContainer("main", { restartPolicy: "Never", restartPolicyRules: rules });
  expect(restarts(pod, ruled, { exitCode: 42, isInit: false })).toBe(true);
  expect(restarts(pod, ruled, { exitCode: 1, isInit: false })).toBe(false);
  expect(restarts(pod, makeContainer("main", { restartPolicy: "OnFailure" }), { exitCode: 1, isInit: false })).toBe(
    true,
  );
});
