import { startRegistry } from "../e2e/registry.ts";
import { skiffDown } from "../e2e/skiff.ts";
import { startSkiff } from "../kubectl/cluster.ts";
import { runtimeFloor } from "./floor.ts";
import { percentile, report } from "./measure.ts";
import { connect, type Wire } from "./wire.ts";

/** How many pods are created at once, and how often. */
const batches = [
  { pods: 1, rounds: 30 },
  { pods: 10, rounds: 5 },
  { pods: 50, rounds: 3 },
];
const path = "/api/v1/namespaces/default/pods";
const podLimit = 300_000;

/**
 * From the create of a pod to Running as a watch shows it, with the image on the node, for 1, 10 and 50 pods at once;
 * and the runtime's own time for as many pods of the same form.
 */
export async function benchPodStart(): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const registry = await startRegistry();
  const mirror = `docker.io=http://${registry.address}`;
  const skiff = await startSkiff(["--runtime", "containerd", "--registry-mirror", mirror]);
  const wire = connect(skiff.dataDir, 50);
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // It pulls the image.
    await startBatch(wire, "first", 1);
    for (const { pods, rounds } of batches) {
      const samples: number[] = [];
      for (let round = 0; round < rounds; round++) samples.push(...(await startBatch(wire, `s${pods}-${round}`, pods)));
      figures("pod.start", samples, { pods, rounds });
      const floor = await runtimeFloor(skiff.dataDir, "docker.io/library/busybox:latest", { pods, rounds });
      figures("pod.start.floor", floor, { pods, rounds });
    }
  } finally {
    wire.close();
    await skiffDown(skiff);
    await registry.stop();
  }
}

function figures(name: string, samples: number[], params: Record<string, unknown>): void {
  const [p50, p99] = [percentile(samples, 0.5), percentile(samples, 0.99)];
  report(name, p50, "ms", { ...params, p99, runtime: "containerd" });
}

const podOf = (name: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: "busybox", imagePullPolicy: "IfNotPresent", command: ["sleep", "1000"] }],
    },
  });

/** Creates the pods at once and deletes them when all are Running. Resolves with each one's milliseconds. */
async function startBatch(wire: Wire, prefix: string, count: number): Promise<number[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const since = new Map<string, number>();
  const samples = new Map<string, number>();
  const gone = new Set<string>();
  let wake = (): void => {};
  const stop = await followPods(wire, (type, { metadata, status }) => {
    const from = since.get(metadata.name);
    if (from === undefined) return;
    if (status.phase === "Running" && !samples.has(metadata.name)) {
      samples.set(metadata.name, performance.now() - from);
    }
    if (type === "DELETED") gone.add(metadata.name);
    wake();
  });
  const all = async (seen: { size: number }): Promise<void> => {
    const limit = performance.now() + podLimit;
    while (seen.size < count) {
      if (performance.now() > limit) throw new Error(`${seen.size} of ${count} pods after ${podLimit / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  try {
    const create = async (name: string): Promise<void> => {
      since.set(name, performance.now());
      await wire.send("POST", path, podOf(name));
    };
    await Promise.all(names.map(create));
    await all(samples);
    await Promise.all(names.map((name) => wire.send("DELETE", `${path}/${name}?gracePeriodSeconds=1`)));
    await all(gone);
  } finally {
    stop();
  }
  return [...samples.values()];
}

interface PodEvent {
  type: string;
  object: { metadata: { name: string }; status: { phase: string } };
}

/** Watches the pods of the namespace. */
function followPods(wire: Wire, seen: (type: string, pod: PodEvent["object"]) => void): Promise<() => void> {
  let rest = "";
  return wire.watch(`${path}?watch=true`, (chunk) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as PodEvent;
      seen(type, object);
    }
  });
}
