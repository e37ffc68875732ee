import { expect, test } from "vitest";
import { Cluster, makeContainer, makePod } from "./testing.ts";

const exec = (script: string) => ({ exec: { command: ["sh", "-c", script] }, periodSeconds: 1, failureThreshold: 30 });

/** Writes /up after six seconds: the startup probe succeeds from then on. */
const slow = (more: object) =>
  makeContainer("web", {
    command: ["sh", "-c", "sleep 6; echo x > /up; sleep 1000"],
    startupProbe: exec("test -f /up"),
    ...more,
  });
const other = (name: string) => makeContainer(name, { command: ["sleep", "1000"] });

/** `started ready restarts` of a container. */
const stateOf = (cluster: Cluster, name: string, container: string): string => {
  const { containerStatuses = [], initContainerStatuses = [] } = cluster.status(name);
  const status = [...containerStatuses, ...initContainerStatuses].find((one) => one.name === container);
  return [status?.started, status?.ready, status?.restartCount].join(" ");
};

// Values seen on v1.37.2's prober: isContainerStarted is false while the startup probe's result is unknown, and
// doProbe runs no liveness or readiness probe until then.
for (const [name, more] of [
  ["liveness", { livenessProbe: { ...exec("test -f /up"), failureThreshold: 1 } }],
  ["readiness", { readinessProbe: exec("true") }],
  ["nothing else", {}],
] as const) {
  test.each(["first", "middle", "last"])(`a startup probe holds ${name} back in the %s container`, async (place) => {
    const cluster = new Cluster();
    const others = [other("a"), other("b")];
    others.splice(place === "first" ? 0 : place === "middle" ? 1 : 2, 0, slow(more));
    const seen = new Set<string>();
    cluster.beforeWrite.hook = (pod) => {
      const status = pod.status?.containerStatuses?.find((one) => one.name === "web");
      seen.add(`${status?.started} ${status?.ready}`);
    };
    cluster.create(makePod("p", { spec: { containers: others } }));
    await cluster.clock.forward(5500);
    expect(stateOf(cluster, "p", "web")).toBe("false false 0");
    expect([...seen]).toEqual(["false false"]);
    await cluster.clock.forward(2500);
    expect(stateOf(cluster, "p", "web")).toBe("true true 0");
    expect(cluster.events.filter((event) => /Liveness|Killing/.test(event))).toEqual([]);
    await cluster.manager.stop();
  });
}

test("a sidecar's startup probe delays the containers after it, in every status in between", async () => {
  const cluster = new Cluster();
  const sidecars = [slow({ restartPolicy: "Always" }), { ...other("second"), restartPolicy: "Always" }];
  cluster.create(makePod("p", { spec: { initContainers: sidecars, containers: [other("main")] } }));
  await cluster.clock.forward(5500);
  expect(stateOf(cluster, "p", "web")).toBe("false false 0");
  expect(stateOf(cluster, "p", "second")).toBe("false false 0");
  await cluster.clock.forward(2500);
  expect(stateOf(cluster, "p", "web")).toBe("true true 0");
  expect(cluster.status("p").phase).toBe("Running");
  await cluster.manager.stop();
});

test("probes a restarted container from the start", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p", { spec: { containers: [slow({}), other("b")] } }));
  await cluster.clock.forward(8000);
  expect(stateOf(cluster, "p", "web")).toBe("true true 0");
  const [sandbox] = await cluster.runtime.pods.list();
  cluster.runtime.exit(sandbox!.containers.find(({ name }) => name === "web")!.id, 1);
  await cluster.clock.forward(3000);
  expect(stateOf(cluster, "p", "web")).toBe("false false 1");
  await cluster.clock.forward(5000);
  expect(stateOf(cluster, "p", "web")).toBe("true true 1");
  await cluster.manager.stop();
});

test("a restarted agent adopts known probe results and no others", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("up", { spec: { containers: [slow({ readinessProbe: exec("true") }), other("b")] } }));
  await cluster.clock.forward(9000);
  cluster.create(makePod("coming", { spec: { containers: [slow({ readinessProbe: exec("true") }), other("b")] } }));
  await cluster.clock.forward(2000);
  const before = cluster.status("up");
  expect(stateOf(cluster, "up", "web")).toBe("true true 0");
  const seen = new Set<string>();
  cluster.beforeWrite.hook = ({ metadata, status }) => {
    const web = status?.containerStatuses?.find((one) => one.name === "web");
    seen.add(`${metadata.name} ${web?.started} ${web?.ready}`);
  };
  await cluster.restart();
  await cluster.clock.forward(2000);
  expect(cluster.status("up")).toEqual(before);
  expect(stateOf(cluster, "coming", "web")).toBe("false false 0");
  expect(seen.has("coming true true")).toBe(false);
  await cluster.clock.forward(4000);
  expect(stateOf(cluster, "coming", "web")).toBe("true true 0");
  await cluster.manager.stop();
});
