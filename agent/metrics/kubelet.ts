import type { Runtime } from "#agent/runtime";
import type { Clock } from "#base";
import { buckets, MetricRegistry } from "#metrics";
import { processMetrics } from "#metrics/process";

export interface KubeletMetrics {
  /** The runtime, whose calls are counted. */
  runtime: Runtime;
  /** All metrics of this node and of its process, as text for Prometheus. */
  text(): Promise<string>;
}

/** Simulated nodes share a process and its metrics. */
let shared: MetricRegistry | undefined;

function processText(): string {
  if (!shared) {
    shared = new MetricRegistry();
    processMetrics(shared);
  }
  return shared.text();
}

/** Counts the runtime operations of a node's kubelet, and its pods and containers, under upstream's names. */
export function kubeletMetrics(node: string, runtime: Runtime, clock: Clock): KubeletMetrics {
  const registry = new MetricRegistry();
  const named = { name: "kubelet_node_name", help: "The node's name. The count is always 1.", labels: ["node"] };
  registry.gauge(named).set([node], 1);
  const pods = registry.gauge({ name: "kubelet_running_pods", help: "Number of pods that have a running pod sandbox" });
  let containers = new Map<string, number>();
  registry.read(
    {
      name: "kubelet_running_containers",
      help: "Number of containers currently running",
      labels: ["container_state"],
    },
    () => [...containers].map(([state, count]) => [[state], count]),
  );
  return {
    runtime: countedRuntime(runtime, registry, clock),
    async text() {
      const sandboxes = await runtime.pods.list();
      pods.set([], sandboxes.filter(({ state }) => state === "ready").length);
      containers = new Map();
      for (const { state } of sandboxes.flatMap((sandbox) => sandbox.containers)) {
        containers.set(state, (containers.get(state) ?? 0) + 1);
      }
      return registry.text() + processText();
    },
  };
}

/** The kubelet's names of runtime operations. */
const podOperations = {
  runSandbox: "run_podsandbox",
  stopSandbox: "stop_podsandbox",
  removeSandbox: "remove_podsandbox",
  startContainer: "start_container",
  stopContainer: "stop_container",
  removeContainer: "remove_container",
  resizeContainer: "update_container",
  list: "list_podsandbox",
} as const;
const imageOperations = {
  find: "image_status",
  pull: "pull_image",
  list: "list_images",
  remove: "remove_image",
} as const;

function countedRuntime(runtime: Runtime, registry: MetricRegistry, clock: Clock): Runtime {
  const labels = ["operation_type"];
  const total = registry.counter({
    name: "kubelet_runtime_operations_total",
    help: "Cumulative number of runtime operations by operation type.",
    labels,
  });
  const errors = registry.counter({
    name: "kubelet_runtime_operations_errors_total",
    help: "Cumulative number of runtime operation errors by operation type.",
    labels,
  });
  const took = registry.histogram({
    name: "kubelet_runtime_operations_duration_seconds",
    help: "Duration in seconds of runtime operations. Broken down by operation type.",
    labels,
    bounds: buckets.common,
  });
  const counted = async (name: string, work: () => Promise<unknown>): Promise<unknown> => {
    const since = clock.now();
    total.add([name]);
    try {
      return await work();
    } catch (error) {
      errors.add([name]);
      throw error;
    } finally {
      took.observe([name], (clock.now() - since) / 1000);
    }
  };
  const countedPort = <Port extends object>(port: Port, operations: Partial<Record<keyof Port, string>>): Port =>
    new Proxy(port, {
      get(target, member) {
        const found: unknown = Reflect.get(target, member);
        const operation = operations[member as keyof Port];
        if (operation === undefined || typeof found !== "function") return found;
        return (...given: unknown[]) => counted(operation, () => found.apply(target, given) as Promise<unknown>);
      },
    });
  return {
    pods: countedPort(runtime.pods, podOperations),
    images: countedPort(runtime.images, imageOperations),
    streams: runtime.streams,
    info: () => runtime.info(),
    changes: (signal) => runtime.changes(signal),
    close: () => runtime.close(),
  };
}
