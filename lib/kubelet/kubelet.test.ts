import { expect, test } from "vitest";
import type { ContainerStatus, Pod, PodStatus } from "#api";
import { mergeStatus, podConditions, statusToWrite, withShortMessages } from "./index.ts";

const now = Date.parse("2026-01-02T03:04:05Z");
const status = (ready: boolean): ContainerStatus => ({ name: "main", ready }) as ContainerStatus;

const readyOf = (conditions: { type: string; status: string }[], mains: ContainerStatus[]) => {
  const pod = {
    metadata: { name: "p", generation: 3 },
    spec: {
      containers: [{ name: "main" }],
      readinessGates: [{ conditionType: "example.com/a" }, { conditionType: "example.com/b" }],
    },
    status: { conditions },
  } as unknown as Pod;
  const input = { pod, phase: "Running", inits: [], mains, initialized: true, networkUp: true };
  return podConditions(input).find(({ type }) => type === "Ready");
};

// GeneratePodReadyCondition (pkg/kubelet/status/generate.go, v1.37.2).
test("names readiness gates with the missing condition", () => {
  const shut = { status: "False", reason: "ReadinessGatesNotReady", observedGeneration: 3 };
  expect(readyOf([{ type: "example.com/b", status: "False" }], [status(true)])).toMatchObject({
    ...shut,
    message:
      'corresponding condition of pod readiness gate "example.com/a" does not exist., the status of pod readiness gate "example.com/b" is not "True", but False',
  });
  const open = ["a", "b"].map((name) => ({ type: `example.com/${name}`, status: "True" }));
  expect(readyOf(open, [status(true)])).toMatchObject({ status: "True" });
  expect(readyOf(open, [status(false)])).toMatchObject({
    status: "False",
    reason: "ContainersNotReady",
    message: "containers with unready status: [main]",
  });
});

test("a merge keeps foreign conditions, the start time, transition times and a final phase", () => {
  const stored = {
    phase: "Succeeded",
    startTime: "2025-01-01T00:00:00Z",
    nominatedNodeName: "n",
    reason: "Old",
    ephemeralContainerStatuses: [{ name: "e" }],
    conditions: [
      { type: "Ready", status: "True", lastTransitionTime: "2025-01-01T00:00:00Z" },
      { type: "PodScheduled", status: "True", lastTransitionTime: "2025-01-01T00:00:00Z" },
      { type: "ContainersReady", status: "True" },
      { type: "example.com/gate", status: "True" },
      { type: "example.com/own", status: "True", reason: "Old" },
    ],
  } as unknown as PodStatus;
  const next = {
    phase: "Running",
    startTime: "2026-01-01T00:00:00Z",
    conditions: [
      { type: "Ready", status: "False" },
      { type: "PodScheduled", status: "True" },
      { type: "example.com/own", status: "False" },
    ],
  } as unknown as PodStatus;
  expect(mergeStatus(stored, next, now)).toEqual({
    phase: "Succeeded",
    startTime: "2025-01-01T00:00:00Z",
    nominatedNodeName: "n",
    conditions: [
      { type: "Ready", status: "False", lastTransitionTime: "2026-01-02T03:04:05Z" },
      { type: "PodScheduled", status: "True", lastTransitionTime: "2025-01-01T00:00:00Z" },
      { type: "example.com/own", status: "False", lastTransitionTime: "2026-01-02T03:04:05Z" },
      { type: "example.com/gate", status: "True" },
    ],
  });
});

// Go leaves out empty maps; a pointer to an empty struct stays (k8s.io/api/core/v1 PodStatus).
test("a status that is stored without its empty maps is not written again", () => {
  const next = { phase: "Running", allocatedResources: {}, resources: { requests: {}, limits: {} } } as PodStatus;
  expect(statusToWrite({ phase: "Running", resources: {} }, next, now)).toBeUndefined();
  expect(statusToWrite({ phase: "Running" }, next, now)).toEqual(next);
  const half = { phase: "Running", allocatedResources: { cpu: "500m" } } as PodStatus;
  expect(statusToWrite(half, { ...half, allocatedResources: { cpu: "0.5" } }, now)).toBeUndefined();
});

// Upstream's normalizeStatus: MaxPodTerminationMessageLogLength over the number of containers.
test("containers share 12 KiB of termination messages evenly", () => {
  const names = ["a", "b", "c", "d"];
  const ended = (name: string) => ({
    ...{ name, state: { terminated: { exitCode: 1, message: "x".repeat(4096) } } },
    lastState: { terminated: { exitCode: 1, message: "short" } },
  });
  const pod = {
    metadata: {},
    spec: {
      initContainers: [{ name: "a" }],
      containers: [{ name: "b" }, { name: "c" }],
      ephemeralContainers: [{ name: "d" }],
    },
  } as Pod;
  const [init, ...mains] = names.slice(0, 3).map(ended);
  const status = { initContainerStatuses: [init], containerStatuses: mains, ephemeralContainerStatuses: [ended("d")] };
  const { initContainerStatuses, containerStatuses, ephemeralContainerStatuses } = withShortMessages(
    pod,
    status as never,
  );
  for (const one of [...initContainerStatuses!, ...containerStatuses!, ...ephemeralContainerStatuses!]) {
    expect(one.state!.terminated!.message).toBe("x".repeat(3072));
    expect(one.lastState!.terminated!.message).toBe("short");
  }
});
