import { expect, test, vi } from "vitest";
import { noVolumes, type PodVolumes, VolumeError } from "#agent/volumes";
import { behaviour, Cluster, makeContainer, makePod } from "./testing.ts";

/** A driver that answers nothing: a call ends when it is cancelled. */
async function hang(signal: AbortSignal | undefined): Promise<never> {
  await new Promise((resolve) => signal?.addEventListener("abort", resolve));
  throw new VolumeError("cancelled");
}

const over = (changes: Partial<PodVolumes>) => ({ volumes: () => ({ ...noVolumes(), ...changes }) });

// Upstream's kubelet mounts volumes beside its pod workers: a pod that waits for one can be deleted.
test("a pod whose volume hangs at its mount is deleted at once, and is unmounted after the cancelled mount", async () => {
  const steps: string[] = [];
  const cluster = new Cluster(
    over({
      mount: async (_pod, signal) => {
        steps.push("mount");
        await hang(signal).finally(() => steps.push("cancelled"));
        return {};
      },
      unmount: async () => void steps.push("unmount"),
    }),
  );
  cluster.create(makePod("p"));
  await cluster.clock.forward(5000);
  expect(cluster.status("p").containerStatuses![0]!.state).toEqual({ waiting: { reason: "ContainerCreating" } });
  cluster.remove("p");
  await cluster.settle();
  expect(cluster.pods.has("p")).toBe(false);
  expect(steps).toEqual(["mount", "cancelled", "unmount"]);
  expect(cluster.events).toEqual([]);
  await cluster.manager.stop();
});

test("a pod whose volume hangs at its mount ends at its deadline", async () => {
  const cluster = new Cluster(over({ mount: (_pod, signal) => hang(signal) }));
  cluster.create(makePod("p", { spec: { activeDeadlineSeconds: "5" } as never }));
  await cluster.clock.forward(6000);
  expect(cluster.status("p")).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
  await cluster.manager.stop();
});

test("a mount that takes longer than a step of its pod is used once it ends", async () => {
  const mounted = Promise.withResolvers<void>();
  const cluster = new Cluster(over({ mount: () => mounted.promise.then(() => ({})) }));
  cluster.create(makePod("p"));
  await cluster.clock.forward(30_000);
  expect(cluster.status("p").phase).toBe("Pending");
  mounted.resolve();
  await cluster.settle();
  expect(cluster.status("p").phase).toBe("Running");
  await cluster.manager.stop();
});

test("a volume that hangs while it is refreshed delays no restart of a container", async () => {
  const cluster = new Cluster(over({ refresh: (_pod, signal) => hang(signal) }));
  let failures = 0;
  vi.spyOn(cluster.runtime.streams, "run").mockImplementation(async () => ({
    exitCode: failures-- > 0 ? 1 : 0,
    stdout: Buffer.from(""),
    stderr: Buffer.from(""),
  }));
  const livenessProbe = { exec: { command: ["check"] }, periodSeconds: 1, failureThreshold: 1 };
  cluster.create(makePod("p", { spec: { containers: [makeContainer("main", { livenessProbe })] } }));
  await cluster.clock.forward(70_000);
  failures = 1;
  await cluster.clock.forward(10_000);
  expect(cluster.status("p").containerStatuses![0]).toMatchObject({ restartCount: 1, ready: true });
  await cluster.manager.stop();
});

test("pods of an earlier agent are unmounted side by side", async () => {
  const unmounted: string[] = [];
  const never = new Promise<never>(() => {});
  const cluster = new Cluster(
    over({
      list: async () => ["hangs", "left"],
      unmount: (uid) => (uid === "hangs" ? never : Promise.resolve(void unmounted.push(uid))),
    }),
  );
  cluster.manager.synced();
  await cluster.settle();
  expect(unmounted).toEqual(["left"]);
  await cluster.manager.stop();
});

// Upstream's SyncTerminatedPod: a finished pod keeps no volume in use until it is deleted.
test("volumes of a finished pod are released once, and its other files are kept until it is deleted", async () => {
  const steps: string[] = [];
  const cluster = new Cluster(
    over({
      release: async () => {
        steps.push("release");
        if (steps.length === 1) throw new VolumeError("the driver does not answer");
      },
      unmount: async () => void steps.push("unmount"),
    }),
  );
  cluster.create(makePod("p", { spec: { restartPolicy: "Never" }, annotations: { [behaviour.runSeconds]: "1" } }));
  await cluster.clock.forward(5000);
  expect(cluster.status("p").phase).toBe("Succeeded");
  expect(steps).toEqual(["release", "release"]);
  expect(cluster.events).toContain("Warning FailedSync error syncing pod: the driver does not answer");
  await cluster.clock.forward(120_000);
  cluster.remove("p");
  await cluster.settle();
  expect(steps).toEqual(["release", "release", "unmount"]);
  await cluster.manager.stop();
});
