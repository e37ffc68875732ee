import { startRegistry } from "../e2e/registry.ts";
import { skiffDown } from "../e2e/skiff.ts";
import { startSkiff } from "../kubectl/cluster.ts";
import { runtimeFloor } from "./floor.ts";
import { percentile, report } from "./measure.ts";
import { connect } from "./wire.ts";

const rounds = 20;

/** From the create of a pod to Running as the API shows it, one pod at a time, with the image on the node. */
export async function benchPodStart(): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const registry = await startRegistry();
  const skiff = await startSkiff([
    "--runtime",
    "containerd",
    "--registry-mirror",
    `docker.io=http://${registry.address}`,
  ]);
  const wire = connect(skiff.dataDir, 4);
  const path = "/api/v1/namespaces/default/pods";
  const samples: number[] = [];
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (let round = 0; round <= rounds; round++) {
      const name = `start-${round}`;
      const spec = {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "main", image: "busybox", imagePullPolicy: "IfNotPresent", command: ["sleep", "1000"] }],
      };
      const from = performance.now();
      await wire.send("POST", path, JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec }));
      for (;;) {
        const pod = JSON.parse((await wire.send("GET", `${path}/${name}`)).body.toString()) as {
          status: { phase: string };
        };
        if (pod.status.phase === "Running") break;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // The first one pulls its image.
      if (round > 0) samples.push(performance.now() - from);
      await wire.send("DELETE", `${path}/${name}?gracePeriodSeconds=0`);
    }
    const floor = await runtimeFloor(skiff.dataDir, "docker.io/library/busybox:latest", rounds);
    report("pod.start.floor", percentile(floor, 0.5), "ms", {
      rounds,
      runtime: "containerd",
      p95: percentile(floor, 0.95),
    });
    report("pod.start", percentile(samples, 0.5), "ms", {
      rounds,
      runtime: "containerd",
      p95: percentile(samples, 0.95),
    });
  } finally {
    wire.close();
    await skiffDown(skiff);
    await registry.stop();
  }
}
