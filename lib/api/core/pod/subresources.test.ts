import { expect, test } from "vitest";
import { isApiError } from "#base";
import { pods } from "./pod.ts";
import type { Pod } from "./spec.ts";

const make = (part: Partial<NonNullable<Pod["spec"]>> = {}, status?: Pod["status"]): Pod => ({
  metadata: { name: "web", namespace: "default", uid: "u", resourceVersion: "5", generation: 1 },
  spec: { containers: [{ name: "app", image: "a" }], ...part },
  ...(status ? { status } : {}),
});

const subresource = <Type extends string>(name: string, type: Type) => {
  const found = pods.subresources?.[name];
  if (found?.type !== type) throw new Error(`no ${type} ${name}`);
  return found as Extract<NonNullable<typeof found>, { type: Type }>;
};

function refusal(run: () => unknown): { code: number; message: string } {
  try {
    run();
  } catch (error) {
    if (isApiError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

const bind = (object: Pod, metadata: object = {}, target: object = { kind: "Node", name: "n1" }) =>
  subresource("binding", "command").apply(object, { metadata: { name: "web", ...metadata }, target } as never, {
    now: Date.UTC(2026, 0, 1),
  });

test("a binding sets the node, the condition and its own labels and annotations", () => {
  const object = make({}, { nominatedNodeName: "n0" });
  bind(object, { annotations: { a: "b" }, labels: { zone: "z" } });
  expect(object.spec?.nodeName).toBe("n1");
  expect(object.status).toEqual({
    conditions: [{ type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
  });
  expect(object.metadata).toMatchObject({ annotations: { a: "b" }, labels: { zone: "z" } });
  expect(pods.generation?.(object)).toEqual(pods.generation?.(make()));
});

test.each([
  ["a bound pod", make({ nodeName: "n0" }), {}, {}, 409, 'pod web is already assigned to node "n0"'],
  [
    "a gated pod",
    make({ schedulingGates: [{ name: "g" }] }),
    {},
    {},
    409,
    "pod web has non-empty .spec.schedulingGates",
  ],
  ["another uid", make(), { uid: "v" }, {}, 409, "Precondition failed: UID in precondition: v, UID in object meta: u"],
  ["another revision", make(), { resourceVersion: "4" }, {}, 409, "Precondition failed: ResourceVersion"],
  ["another name", make(), { name: "x" }, {}, 400, "name in URL does not match name in Binding object"],
])("a binding is refused: %s", (_name, object, metadata, _target, code, message) => {
  const refused = refusal(() => bind(object, metadata));
  expect(refused.code).toBe(code);
  expect(refused.message).toContain(message);
});

test("a pod that is going is not bound", () => {
  const object = make();
  object.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  expect(refusal(() => bind(object)).message).toBe(
    'Operation cannot be fulfilled on pods/binding "web": pod web is being deleted, cannot be assigned to a host',
  );
});

const target = (name: string, object: Pod, query: string) =>
  subresource(name, "connect").target(object, new URLSearchParams(query));
const two = { nodeName: "n1", containers: ["a", "b"].map((name) => ({ name, image: "i" })) };

test("logs, exec, attach and port-forward go to the pod's node ", () => {
  const object = make({ nodeName: "n1" });
  const log = { follow: true, previous: false, timestamps: false };
  const none = { stdin: false, stdout: false, stderr: false, tty: false };
  const tests = [
    ["log", "follow=true&tailLines=5&pretty=1", { type: "logs", container: "app", options: { ...log, tailLines: 5 } }],
    [
      "exec",
      "command=ls&command=-l&stdin=true&stdout=1&tty=false",
      { type: "exec", container: "app", streams: { ...none, stdin: true, stdout: true }, command: ["ls", "-l"] },
    ],
    ["attach", "stderr=true&container=app", { type: "attach", container: "app", streams: { ...none, stderr: true } }],
    // Only "0" and "false" are false (Convert_Slice_string_To_bool).
    ["attach", "stdout&stderr=False&stdin=0", { type: "attach", container: "app", streams: { ...none, stdout: true } }],
    ["portforward", "ports=80&ports=81,82", { type: "portForward", ports: [80, 81, 82] }],
    ["portforward", "", { type: "portForward", ports: [] }],
  ] as const;
  const place = { namespace: "default", name: "web" };
  for (const [name, query, request] of tests) {
    expect(target(name, object, query)).toEqual({ node: "n1", request: { ...request, pod: place } });
  }
});

// Seen on v1.37.2.
test.each([
  ["ports=abc", '"abc": invalid syntax'],
  ["ports=", '"": invalid syntax'],
  ["ports=80,-1", '"-1": invalid syntax'],
  ["ports=70000", '"70000": value out of range'],
])("refuses port-forward with %s", (query, why) => {
  const message = `cannot convert to []int32: strconv.ParseUint: parsing ${why}`;
  expect(refusal(() => target("portforward", make({ nodeName: "n1" }), query))).toEqual({ code: 400, message });
});

test("requires a container name where there are several containers", () => {
  const init = { ...two, initContainers: [{ name: "i", image: "i" }] };
  expect(refusal(() => target("log", make(init), ""))).toEqual({
    code: 400,
    message: "a container name must be specified for pod web, choose one of: [i a b]",
  });
  expect(target("log", make(init), "container=i").request).toMatchObject({ type: "logs", container: "i" });
  expect(refusal(() => target("exec", make(two), "container=z")).message).toBe("container z is not valid for pod web");
  expect(refusal(() => target("exec", make({ containers: [] }), "")).message).toBe(
    "a container name must be specified for pod web",
  );
});

test("without a node there is no exec, and an empty log", () => {
  expect(refusal(() => target("exec", make(), ""))).toEqual({
    code: 400,
    message: "pod web does not have a host assigned",
  });
  expect(target("log", make(), "").node).toBe("");
});

test("log options are checked", () => {
  const refused = refusal(() => target("log", make(), "tailLines=-1&limitBytes=0&sinceSeconds=0"));
  expect(refused.code).toBe(422);
  expect(refused.message).toContain("tailLines: Invalid value: -1: must be greater than or equal to 0");
  expect(refusal(() => target("log", make(), "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z")).message).toContain(
    "at most one of `sinceTime` or `sinceSeconds` may be specified",
  );
});

test("ephemeral containers are written alone, and raise the generation", () => {
  const next = make({ hostname: "x", ephemeralContainers: [{ name: "e", image: "b" }] });
  next.metadata.labels = { a: "b" };
  const previous = make();
  subresource("ephemeralcontainers", "partialUpdate").prepare(next, previous, { now: 0 });
  expect(next.spec).toEqual({ ...previous.spec, ephemeralContainers: [{ name: "e", image: "b" }] });
  expect(next.metadata).toEqual({ ...previous.metadata, generation: 2 });
});

test.each([
  ["not scheduled", make(), 30, 0],
  ["asked for", make({ nodeName: "n" }), 5, 5],
  ["its own", make({ nodeName: "n", terminationGracePeriodSeconds: 60 }), undefined, 60],
  ["negative", make({ nodeName: "n", terminationGracePeriodSeconds: -3 }), undefined, 1],
  ["ended", make({ nodeName: "n" }, { phase: "Succeeded" }), 30, 0],
  ["failed", make({ nodeName: "n" }, { phase: "Failed" }), 30, 0],
  ["at once", make({ nodeName: "n" }), 0, 0],
])("grace of a pod: %s", (_name, object, gracePeriodSeconds, expected) => {
  expect(pods.gracePeriod?.(object, { gracePeriodSeconds })).toBe(expected);
});

test("keeps fields of a status that its writer does not know", () => {
  const previous = make(
    {},
    {
      qosClass: "BestEffort",
      observedGeneration: 3,
      conditions: [{ type: "Ready", status: "False", observedGeneration: 2 }],
    },
  );
  previous.metadata.ownerReferences = [{ apiVersion: "v1", kind: "A", name: "a", uid: "o" }];
  const next = make({}, { phase: "Running", podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "True" }] });
  subresource("status", "status").prepare?.(next, previous, { now: 0 });
  expect(next.status).toEqual({
    phase: "Running",
    qosClass: "BestEffort",
    observedGeneration: 3,
    podIP: "10.0.0.1",
    podIPs: [{ ip: "10.0.0.1" }],
    conditions: [{ type: "Ready", status: "True", observedGeneration: 2 }],
  });
  expect(next.metadata.ownerReferences).toEqual(previous.metadata.ownerReferences);
});
