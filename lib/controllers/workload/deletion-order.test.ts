import { expect, test } from "vitest";
import type { Pod } from "#api";
import { formatTime } from "#base";
import { inDeletionOrder, inRankedDeletionOrder } from "./deletion-order.ts";

const now = Date.parse("2030-01-01T00:00:00Z");
const ago = (seconds: number): string => formatTime(now - seconds * 1000);

interface Shape {
  node?: string;
  phase?: string;
  /** Seconds since the pod became ready; null: ready without a time. */
  ready?: number | null;
  cost?: string;
  restarts?: number;
  sidecarRestarts?: number;
  /** Seconds since the creation. */
  age?: number;
  uid?: string;
}

function podOf(name: string, shape: Shape): Pod {
  const { node = "n", phase = "Running", ready, cost, restarts = 0, sidecarRestarts = 0, age = 100 } = shape;
  const since = ready === null ? {} : { lastTransitionTime: ago(ready ?? 0) };
  return {
    metadata: {
      name,
      uid: shape.uid ?? name,
      creationTimestamp: ago(age),
      ...(cost === undefined ? {} : { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
    },
    spec: {
      containers: [],
      initContainers: [{ name: "side", restartPolicy: "Always" }],
      ...(node ? { nodeName: node } : {}),
    },
    status: {
      phase,
      containerStatuses: [{ name: "main", restartCount: restarts }],
      initContainerStatuses: [
        { name: "side", restartCount: sidecarRestarts },
        { name: "init", restartCount: 99 - sidecarRestarts },
      ],
      conditions: ready === undefined ? [] : [{ type: "Ready", status: "True", ...since }],
    },
  } as unknown as Pod;
}

const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name);

/** Both orders of the pods `first` and `second`, whichever comes first in the list. */
function expectFirst(first: Shape, second: Shape, order: (pods: readonly Pod[]) => Pod[]): void {
  const pods = [podOf("first", first), podOf("second", second)];
  expect(names(order(pods))).toEqual(["first", "second"]);
  expect(names(order(pods.toReversed()))).toEqual(["first", "second"]);
}

const ranked = (pods: readonly Pod[]): Pod[] => inRankedDeletionOrder(pods, pods, now);

// ActivePods.Less (pkg/controller/controller_utils.go, v1.37.2), one row per rule.
test.each<[string, Shape, Shape]>([
  ["without a node before with one", { node: "" }, { phase: "Pending" }],
  ["pending before unknown", { phase: "Pending" }, { phase: "Unknown" }],
  ["unknown before running", { phase: "Unknown" }, { phase: "Running" }],
  ["not ready before ready", {}, { ready: 5 }],
  ["ready without a time before ready with one", { ready: null }, { ready: 5 }],
  ["ready for less time before ready for more", { ready: 5 }, { ready: 6 }],
  ["more restarts before fewer", { restarts: 2 }, { restarts: 1 }],
  ["more sidecar restarts before fewer", { sidecarRestarts: 2 }, { sidecarRestarts: 1 }],
  ["newer before older", { age: 10 }, { age: 11 }],
])("inDeletionOrder puts pods %s", (_, first, second) => {
  expectFirst(first, second, inDeletionOrder);
});

// ActivePodsWithRanks.Less.
test.each<[string, Shape, Shape]>([
  ["without a node before with one", { node: "", cost: "5" }, { phase: "Pending" }],
  ["of lower cost before higher", { cost: "-5", ready: 90 }, { ready: 5 }],
  ["ready for much less time before ready for more", { ready: 5 }, { ready: 500, restarts: 9 }],
  // Different times of the same rank are decided by the uid, not by the later rules.
  ["ready for about the same time by uid", { ready: 70, uid: "a" }, { ready: 69, uid: "b", restarts: 9 }],
  ["more sidecar restarts before fewer", { sidecarRestarts: 2 }, { sidecarRestarts: 1 }],
  ["much newer before older", { age: 10, uid: "b" }, { age: 100, uid: "a" }],
  ["of about the same age by uid", { age: 71, uid: "a" }, { age: 70, uid: "b" }],
])("inRankedDeletionOrder puts pods %s", (_, first, second) => {
  expectFirst(first, second, ranked);
});

test("inRankedDeletionOrder ranks ages by powers of two of a nanosecond", () => {
  // 2^36 ns are 68.7 s: 68 s and 69 s have different ranks, though 2^16 ms are 65.5 s.
  expectFirst({ age: 68, uid: "b" }, { age: 69, uid: "a" }, ranked);
  expectFirst({ age: 66, uid: "a" }, { age: 65, uid: "b" }, ranked);
});

test("inRankedDeletionOrder deletes first where most related pods are on the same node", () => {
  const pods = [podOf("alone", { node: "a" }), podOf("first", { node: "b" }), podOf("second", { node: "b" })];
  expect(names(ranked(pods)).at(-1)).toBe("alone");
  const related = [...pods, podOf("x", { node: "a" }), podOf("y", { node: "a" })];
  expect(names(inRankedDeletionOrder(pods, related, now))[0]).toBe("alone");
});

// GetDeletionCostFromPodAnnotations and its test, pkg/apis/core/helper.
test.each(["+10", "008", "abc", "", "1e3", "0x10", "2147483648", "-2147483649"])(
  "inRankedDeletionOrder reads the malformed cost %j as 0",
  (cost) => {
    expectFirst({ cost: "-1" }, { cost }, ranked);
    expectFirst({ cost }, { cost: "1" }, ranked);
  },
);
