import { describe, expect, test } from "vitest";
import type { Node, Pod } from "#api";
import { handClock } from "#test/make";
import { schedule } from "./cycle.ts";
import { addPod, nodeInfo, podInfo } from "./framework/index.ts";
import { plugins } from "./plugins/index.ts";
import { SchedulingQueue } from "./queue.ts";

const random = { bytes: (length: number) => new Uint8Array(length), fraction: () => 0 };
const node = (name: string, more: object = {}, spec: object = {}): Node =>
  ({ metadata: { name, ...more }, spec, status: { allocatable: { cpu: "2", memory: "2Gi", pods: "3" } } }) as Node;
let number = 0;
const pod = (spec: object = {}, requests: object = {}): Pod =>
  ({
    metadata: { name: "p", uid: `u${number++}` },
    spec: { containers: [{ name: "c", image: "i", resources: { requests } }], ...spec },
  }) as Pod;

const place = (wanted: Pod, nodes: Node[], standing: Record<string, Pod[]> = {}) => {
  const infos = nodes.map((each) => {
    const info = nodeInfo(each);
    for (const other of standing[info.name] ?? []) addPod(info, podInfo(other));
    return info;
  });
  const outcome = schedule({ plugins, pod: podInfo(wanted), nodes: infos, rotation: { next: 0 }, random });
  return outcome.node ? outcome.node.name : outcome.message;
};

// Messages of upstream's plugins and framework.FitError.
const refusals: [string, Pod, Node[], Record<string, Pod[]>, string][] = [
  ["no nodes", pod(), [], {}, "no nodes available to schedule pods"],
  ["too little cpu", pod({}, { cpu: "3" }), [node("a")], {}, "0/1 nodes are available: 1 Insufficient cpu."],
  [
    "too little of two things",
    pod({}, { cpu: "3", memory: "3Gi" }),
    [node("a")],
    {},
    "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
  ],
  ["full of pods", pod(), [node("a")], { a: [pod(), pod(), pod()] }, "0/1 nodes are available: 1 Too many pods."],
  [
    "what others have taken",
    pod({}, { cpu: "1500m" }),
    [node("a")],
    { a: [pod({}, { cpu: "1" })] },
    "0/1 nodes are available: 1 Insufficient cpu.",
  ],
  [
    "cordoned",
    pod(),
    [node("a", {}, { unschedulable: true })],
    {},
    "0/1 nodes are available: 1 node(s) were unschedulable.",
  ],
  [
    "tainted",
    pod(),
    [node("a", {}, { taints: [{ key: "k", value: "v", effect: "NoSchedule" }] })],
    {},
    "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.",
  ],
  [
    "another label",
    pod({ nodeSelector: { disk: "ssd" } }),
    [node("a")],
    {},
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
  ],
  [
    "a port that is taken",
    pod({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort: 80 }] }] }),
    [node("a")],
    { a: [pod({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort: 80 }] }] })] },
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  ],
  [
    "different reasons",
    pod({}, { cpu: "3" }),
    [node("a"), node("b"), node("c", {}, { unschedulable: true })],
    {},
    "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.",
  ],
];
test.each(refusals)("rejects a pod: %s", (_name, wanted, nodes, standing, message) => {
  expect(place(wanted, nodes, standing)).toBe(message);
});

const soft = { taints: [{ key: "k", effect: "PreferNoSchedule" }] };
const zone = (name: string) => ({ labels: { zone: name } });
const inZone = (value: string) => ({ matchExpressions: [{ key: "zone", operator: "In", values: [value] }] });
const placements: [string, Pod, Node[], Record<string, Pod[]>, string][] = [
  ["where most is free", pod({}, { cpu: "100m" }), [node("a"), node("b")], { a: [pod({}, { cpu: "1" })] }, "b"],
  [
    "where its taint is tolerated",
    pod({ tolerations: [{ key: "k", operator: "Exists" }] }),
    [node("a", {}, { unschedulable: true }), node("b", {}, { taints: [{ key: "k", effect: "NoExecute" }] })],
    {},
    "b",
  ],
  ["rather not where a taint asks it to stay away", pod(), [node("a", {}, soft), node("b")], {}, "b"],
  [
    "where a required term holds",
    pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [inZone("y"), inZone("z")] },
        },
      },
    }),
    [node("a", zone("x")), node("b", zone("z"))],
    {},
    "b",
  ],
  [
    "where it would rather be",
    pod({
      affinity: {
        nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: inZone("z") }] },
      },
    }),
    [node("a", zone("x")), node("b", zone("z"))],
    {},
    "b",
  ],
  [
    "where a field names the node",
    pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["b"] }] }],
          },
        },
      },
    }),
    [node("a"), node("b")],
    {},
    "b",
  ],
  [
    "another address of a taken port",
    pod({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort: 80, hostIP: "10.0.0.1" }] }] }),
    [node("a")],
    { a: [pod({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort: 80, hostIP: "10.0.0.2" }] }] })] },
    "a",
  ],
];
test.each(placements)("schedules a pod %s", (_name, wanted, nodes, standing, expected) => {
  expect(place(wanted, nodes, standing)).toBe(expected);
});

test("counts the largest request of an init container, and sidecars beside it", () => {
  const container = (cpu: string, more: object = {}) => ({ name: "c", resources: { requests: { cpu } }, ...more });
  const asks = (spec: object) => podInfo({ metadata: {}, spec } as Pod).requests["cpu"];
  expect(asks({ containers: [container("1"), container("1")], initContainers: [container("3"), container("1")] })).toBe(
    3000,
  );
  expect(
    asks({
      containers: [container("1")],
      initContainers: [container("1", { restartPolicy: "Always" }), container("2")],
    }),
  ).toBe(3000);
  expect(asks({ containers: [container("1")], overhead: { cpu: "250m" } })).toBe(1250);
});

describe("the queue", () => {
  const open = () => {
    const clock = handClock();
    return {
      clock,
      queue: new SchedulingQueue(
        clock,
        plugins,
        () => {},
        () => {},
      ),
    };
  };

  test("returns the pod of higher priority first, then the older one", () => {
    const { clock, queue } = open();
    const [low, high, later] = [pod(), pod({ priority: 10 }), pod({ priority: 10 })].map(podInfo);
    queue.put(low!);
    queue.put(high!);
    clock.move(1);
    queue.put(later!);
    expect([queue.take(), queue.take(), queue.take(), queue.take()].map((each) => each?.info.uid)).toEqual([
      high!.uid,
      later!.uid,
      low!.uid,
      undefined,
    ]);
  });

  test("keeps an unschedulable pod until an event may make it schedulable", () => {
    const { clock, queue } = open();
    const info = podInfo(pod({}, { cpu: "3" }));
    queue.put(info);
    queue.failed(queue.take()!, new Set(["NodeResourcesFit"]));
    queue.event({ type: "node-added", node: node("small") });
    clock.move(10_000);
    expect(queue.take()).toBeUndefined();
    const large = { ...node("large"), status: { allocatable: { cpu: "8", memory: "8Gi", pods: "10" } } } as Node;
    queue.event({ type: "node-added", node: large });
    expect(queue.take()?.info.uid).toBe(info.uid);
  });

  test("keeps an event that arrives while a pod is in flight, and backs off failures", () => {
    const { clock, queue } = open();
    queue.put(podInfo(pod()));
    const first = queue.take()!;
    queue.event({ type: "pod-removed", pod: pod() });
    queue.failed(first, new Set(["NodeResourcesFit"]));
    expect(queue.take()).toBeUndefined();
    clock.move(1000);
    const second = queue.take()!;
    expect(second).toBe(first);
    queue.failed(second, new Set());
    clock.move(1999);
    expect(queue.take()).toBeUndefined();
    clock.move(1);
    expect(queue.take()).toBe(first);
  });

  test("retries a pod after five minutes whatever the hints return", () => {
    const { clock, queue } = open();
    queue.put(podInfo(pod()));
    queue.failed(queue.take()!, new Set(["NodeAffinity"]));
    for (let step = 0; step < 9; step++) clock.move(30_000);
    expect(queue.take()).toBeUndefined();
    clock.move(30_000);
    expect(queue.take()).toBeDefined();
  });

  test("does not return a removed pod", () => {
    const { queue } = open();
    const info = podInfo(pod());
    queue.put(info);
    queue.drop(info.uid);
    expect(queue.take()).toBeUndefined();
  });
});
