import { report } from "./measure.ts";
import type { Wire } from "./wire.ts";

const deployments = 50;

interface PodView {
  spec: { nodeName?: string };
  status: { phase?: string };
}

/** Many pods over many nodes: from the first create to the last binding, and to the last pod running. */
export async function benchScale(wire: Wire, pods: number, nodes: number): Promise<void> {
  const replicas = pods / deployments;
  await wire.send(
    "POST",
    "/api/v1/namespaces",
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "scale" } }),
  );
  const started = performance.now();
  for (let index = 0; index < deployments; index++) {
    const labels = { app: `scale-${index}` };
    const template = {
      metadata: { labels },
      spec: { containers: [{ name: "main", image: "fake", resources: { requests: { cpu: "10m", memory: "16Mi" } } }] },
    };
    const metadata = { name: `scale-${index}` };
    const deployment = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: { replicas, selector: { matchLabels: labels }, template },
    };
    await wire.send("POST", "/apis/apps/v1/namespaces/scale/deployments", JSON.stringify(deployment));
  }
  let bound = 0;
  let running = 0;
  let boundAt = 0;
  const end = started + 300_000;
  while (running < pods && performance.now() < end) {
    const list = JSON.parse((await wire.send("GET", "/api/v1/namespaces/scale/pods")).body.toString()) as {
      items: PodView[];
    };
    bound = list.items.filter(({ spec }) => spec.nodeName).length;
    running = list.items.filter(({ status }) => status.phase === "Running").length;
    if (bound >= pods && boundAt === 0) boundAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const params = { pods, nodes, deployments, running };
  if (boundAt > 0) report("scale.bound", (pods * 1000) / (boundAt - started), "pods/s", params);
  report("scale.running", (running * 1000) / (performance.now() - started), "pods/s", params);
}
