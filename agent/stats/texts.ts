import { MetricRegistry } from "#metrics";
import type { CgroupUsage } from "./cgroup.ts";
import type { ContainerSample, Measured, PodSample, Sample } from "./sample.ts";

type Row = [readonly string[], number, number?];

/** Text of `/metrics/resource`: the kubelet's names, which metrics-server reads. */
export function resourceText({ node, pods }: Sample): string {
  const registry = new MetricRegistry();
  const write = (name: string, type: "counter" | "gauge", help: string, labels: readonly string[], rows: Row[]): void =>
    registry.read({ name, help, labels, type }, () => rows);
  const ofNode = (value: number): Row[] => [[[], value, node.at]];
  const containers = pods.flatMap(({ sandbox: { name, namespace }, containers }) =>
    containers.map((one) => ({ labels: [one.name, name, namespace], one })),
  );
  const ofContainers = (value: (one: ContainerSample) => number | undefined): Row[] =>
    containers.flatMap(({ labels, one }) => rowOf(labels, value(one), one.at));
  const ofPods = (value: (one: Measured) => number | undefined): Row[] =>
    pods.flatMap(({ sandbox, whole }) => rowOf([sandbox.name, sandbox.namespace], value(whole), whole.at));
  const [inContainer, inPod] = [
    ["container", "pod", "namespace"],
    ["pod", "namespace"],
  ];
  const seconds = ({ usage }: Measured): number => usage.cpu.total / 1e9;
  const memory = ({ usage }: Measured): number => usage.memory.workingSet;
  const swap = ({ usage }: Measured): number | undefined => usage.swap?.usage;
  const [cpuHelp, memoryHelp, swapHelp] = [
    (of: string) => `CPU time that the ${of} has used, in seconds of one core`,
    (of: string) => `Working set of the ${of} in bytes`,
    (of: string) => `Swap that the ${of} uses, in bytes`,
  ] as const;
  write("node_cpu_usage_seconds_total", "counter", cpuHelp("node"), [], ofNode(seconds(node)));
  write("node_memory_working_set_bytes", "gauge", memoryHelp("node"), [], ofNode(memory(node)));
  write("node_swap_usage_bytes", "gauge", swapHelp("node"), [], rowOf([], swap(node), node.at));
  write("container_cpu_usage_seconds_total", "counter", cpuHelp("container"), inContainer, ofContainers(seconds));
  write("container_memory_working_set_bytes", "gauge", memoryHelp("container"), inContainer, ofContainers(memory));
  write("container_swap_usage_bytes", "gauge", swapHelp("container"), inContainer, ofContainers(swap));
  write(
    "container_swap_limit_bytes",
    "gauge",
    "Most swap that the container may use, in bytes",
    inContainer,
    ofContainers(({ usage }) => usage.swap?.limit),
  );
  const starts = containers.map(({ labels, one }): Row => [labels, one.startedAt / 1000]);
  write(
    "container_start_time_seconds",
    "gauge",
    "Start of the container, in seconds since the epoch",
    inContainer,
    starts,
  );
  write("pod_cpu_usage_seconds_total", "counter", cpuHelp("pod"), inPod, ofPods(seconds));
  write("pod_memory_working_set_bytes", "gauge", memoryHelp("pod"), inPod, ofPods(memory));
  write("pod_swap_usage_bytes", "gauge", swapHelp("pod"), inPod, ofPods(swap));
  write("resource_scrape_error", "gauge", "1 when containers could not be measured, else 0", [], [[[], 0]]);
  return registry.text();
}

const rowOf = (labels: readonly string[], value: number | undefined, at: number): Row[] =>
  value === undefined ? [] : [[labels, value, at]];

/** cAdvisor's names, each with its value; absent values are left out. */
const cadvisorMetrics: readonly {
  name: string;
  type: "counter" | "gauge";
  help: string;
  /** A label of its own, as cAdvisor's `cpu="total"`. */
  label?: string;
  values(usage: CgroupUsage): [number | undefined, string?][];
}[] = [
  counter(
    "container_cpu_usage_seconds_total",
    "CPU time used, in seconds",
    ({ cpu }) => [[cpu.total / 1e9, "total"]],
    "cpu",
  ),
  counter("container_cpu_user_seconds_total", "CPU time of programs, in seconds", ({ cpu }) => [[cpu.user / 1e9]]),
  counter("container_cpu_system_seconds_total", "CPU time of the kernel, in seconds", ({ cpu }) => [
    [cpu.system / 1e9],
  ]),
  counter("container_cpu_cfs_periods_total", "Periods in which the CPU quota was enforced", ({ cpu }) => [
    [cpu.periods],
  ]),
  counter("container_cpu_cfs_throttled_periods_total", "Periods with throttling", ({ cpu }) => [
    [cpu.throttledPeriods],
  ]),
  counter("container_cpu_cfs_throttled_seconds_total", "Time of throttling, in seconds", ({ cpu }) => [
    [cpu.throttled === undefined ? undefined : cpu.throttled / 1e9],
  ]),
  gauge("container_memory_usage_bytes", "Memory in use, whenever it was last used", ({ memory }) => [[memory.usage]]),
  gauge("container_memory_working_set_bytes", "Working set", ({ memory }) => [[memory.workingSet]]),
  gauge("container_memory_rss", "Anonymous memory", ({ memory }) => [[memory.rss]]),
  gauge("container_memory_cache", "Page cache", ({ memory }) => [[memory.cache]]),
  gauge("container_memory_mapped_file", "Mapped files", ({ memory }) => [[memory.mappedFile]]),
  gauge("container_memory_swap", "Swap in use", ({ swap }) => [[swap?.usage]]),
  counter(
    "container_memory_failures_total",
    "Page faults",
    ({ memory }) => [
      [memory.pageFaults, "pgfault"],
      [memory.majorPageFaults, "pgmajfault"],
    ],
    "failure_type",
  ),
  gauge("container_spec_memory_limit_bytes", "Memory limit; 0 without one", ({ memory }) => [[memory.limit ?? 0]]),
  gauge("container_threads", "Threads", ({ threads }) => [[threads]]),
  ...pressureMetrics("cpu", "stalled", "full"),
  ...pressureMetrics("cpu", "waiting", "some"),
  ...pressureMetrics("memory", "stalled", "full"),
  ...pressureMetrics("memory", "waiting", "some"),
  ...pressureMetrics("io", "stalled", "full"),
  ...pressureMetrics("io", "waiting", "some"),
];

type Values = (typeof cadvisorMetrics)[number]["values"];

function counter(name: string, help: string, values: Values, label?: string) {
  return { name, type: "counter" as const, help, values, ...(label === undefined ? {} : { label }) };
}

function gauge(name: string, help: string, values: Values) {
  return { name, type: "gauge" as const, help, values };
}

function pressureMetrics(resource: "cpu" | "memory" | "io", word: string, line: "some" | "full") {
  return [
    counter(
      `container_pressure_${resource}_${word}_seconds_total`,
      `Time in which ${line === "full" ? "no task" : "a task"} could not run for lack of ${resource}, in seconds`,
      ({ pressure }) => {
        const found = pressure?.[resource];
        return [[found && found[line].total / 1e6]];
      },
    ),
  ];
}

const cadvisorLabels = ["container", "id", "image", "name", "namespace", "pod"];

/** Text of `/metrics/cadvisor`: the node as `/`, each pod's cgroup, and its containers. */
export function cadvisorText({ node, pods }: Sample, networks: readonly PodNetwork[]): string {
  const registry = new MetricRegistry();
  const measured = [
    { labels: ["", "/", "", "", "", ""], one: node as Measured },
    ...pods.flatMap((pod) => [
      { labels: ["", pod.cgroup, "", "", pod.sandbox.namespace, pod.sandbox.name], one: pod.whole },
      ...pod.containers.map((one) => ({ labels: containerLabels(pod, one), one: one as Measured })),
    ]),
  ];
  for (const { name, type, help, label, values } of cadvisorMetrics) {
    const labels = label === undefined ? cadvisorLabels : [...cadvisorLabels, label];
    const rows = measured.flatMap(({ labels: own, one }) =>
      values(one.usage).flatMap(([value, extra]) =>
        rowOf(label === undefined ? own : [...own, extra ?? ""], value, one.at),
      ),
    );
    registry.read({ name, help, labels, type }, () => rows);
  }
  const starts = pods.flatMap((pod) =>
    pod.containers.map((one): Row => [containerLabels(pod, one), Math.floor(one.startedAt / 1000)]),
  );
  registry.read(
    { name: "container_start_time_seconds", help: "Start, in seconds since the epoch", labels: cadvisorLabels },
    () => starts,
  );
  writeNetworks(registry, pods, networks);
  return registry.text();
}

const containerLabels = ({ sandbox }: PodSample, { name, cgroup, image, id }: ContainerSample): string[] => [
  name,
  cgroup,
  image,
  id,
  sandbox.namespace,
  sandbox.name,
];

/** Counters of a pod's interface, by its sandbox. */
export interface PodNetwork {
  sandboxId: string;
  at: number;
  interface: string;
  receivedBytes: number;
  receiveErrors: number;
  sentBytes: number;
  sendErrors: number;
}

function writeNetworks(registry: MetricRegistry, pods: readonly PodSample[], networks: readonly PodNetwork[]): void {
  const bySandbox = new Map(networks.map((network) => [network.sandboxId, network]));
  const write = (name: string, help: string, value: (network: PodNetwork) => number): void => {
    const rows = pods.flatMap(({ sandbox, cgroup }) => {
      const network = bySandbox.get(sandbox.id);
      if (!network) return [];
      return rowOf(
        ["", cgroup, "", "", sandbox.namespace, sandbox.name, network.interface],
        value(network),
        network.at,
      );
    });
    registry.read({ name, help, labels: [...cadvisorLabels, "interface"], type: "counter" }, () => rows);
  };
  write("container_network_receive_bytes_total", "Bytes received", ({ receivedBytes }) => receivedBytes);
  write("container_network_receive_errors_total", "Errors while receiving", ({ receiveErrors }) => receiveErrors);
  write("container_network_transmit_bytes_total", "Bytes sent", ({ sentBytes }) => sentBytes);
  write("container_network_transmit_errors_total", "Errors while sending", ({ sendErrors }) => sendErrors);
}
