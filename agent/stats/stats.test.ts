import { expect, test } from "vitest";
import { handClock } from "#test/make";
import type { CgroupUsage } from "./cgroup.ts";
import type { PodSample, Sample } from "./sample.ts";
import { Sampler } from "./sampler.ts";
import { cadvisorText, resourceText } from "./texts.ts";
import { usageAnswer } from "./usage.ts";

const usage = (seconds: number, bytes = 1024): CgroupUsage => ({
  cpu: { total: seconds * 1e9, user: 0, system: 0 },
  memory: { usage: bytes, workingSet: bytes, rss: 0, cache: 0, mappedFile: 0, pageFaults: 2, majorPageFaults: 1 },
  swap: { usage: 0, limit: 10 },
  pressure: { cpu: { some: line(2e6), full: line(1e6) }, memory: { some: line(0), full: line(0) } },
});
const line = (total: number) => ({ avg10: 0, avg60: 0, avg300: 0, total });

interface Started {
  name: string;
  startedAt: number;
}

/** A pod whose containers use half a processor each. */
function podAt(now: number, containers: Started[]): PodSample {
  const sandbox = { id: "s", namespace: "default", name: "web", uid: "u", createdAt: containers[0]!.startedAt };
  const one = ({ name, startedAt }: Started) => ({
    ...{ id: name, name, image: "nginx", cgroup: `/kubepods/podu/${name}`, startedAt, at: now },
    usage: usage((now - startedAt) / 2000),
  });
  return {
    sandbox,
    cgroup: "/kubepods/podu",
    whole: { at: now, usage: usage(now / 1000) },
    containers: containers.map(one),
  };
}

function setting() {
  const clock = handClock(1_000_000);
  const containers = [{ name: "a", startedAt: 0 }];
  let taken = 0;
  const take = async (): Promise<Sample> => {
    taken++;
    const now = clock.now();
    const node = { at: now, usage: usage(now / 1000), available: 5, swapAvailable: 0 };
    return { node, pods: [podAt(now, containers)] };
  };
  const sampler = new Sampler(take, clock);
  return { clock, containers, sampler, taken: () => taken };
}

test("the first question measures twice, and further ones are answered from that for ten seconds", async () => {
  const { clock, sampler, taken } = setting();
  const first = Promise.all([sampler.sample(), sampler.sample()]);
  await clock.forward(1000);
  const [{ node, pods }] = await first;
  expect(node.rate).toEqual({ nanoCores: 1e9, window: 1000 });
  expect(pods[0]!.containers[0]!.rate).toEqual({ nanoCores: 5e8, window: 1000 });
  await clock.forward(9000);
  await sampler.sample();
  expect(taken()).toBe(2);
  await clock.forward(6000);
  expect((await sampler.sample()).node.rate?.window).toBe(15_000);
  expect(taken()).toBe(3);
});

test("a container that has started since is averaged since its start; one that has only just started has no rate", async () => {
  const { clock, sampler, containers } = setting();
  const first = sampler.sample();
  await clock.forward(1000);
  await first;
  await clock.forward(8000);
  containers.push({ name: "b", startedAt: clock.now() });
  await clock.forward(12_000);
  containers.push({ name: "c", startedAt: clock.now() - 10 });
  const sample = await sampler.sample();
  const rates = sample.pods[0]!.containers.map(({ name, rate }) => [name, rate?.window]);
  expect(rates).toEqual([
    ["a", 20_000],
    ["b", 12_000],
    ["c", undefined],
  ]);
  // As metrics-server, which needs two points of every container (storage/pod.go, GetMetrics).
  expect(usageAnswer(sample).pods).toEqual([]);
  containers.pop();
  await clock.forward(15_000);
  const [pod] = usageAnswer(await sampler.sample()).pods;
  expect(pod).toMatchObject({
    name: "web",
    uid: "u",
    window: 15_000,
    containers: [{ cpu: 5e8, memory: 1024 }, { name: "b" }],
  });
});

test("after a minute without questions the earlier values are not used", async () => {
  const { clock, sampler } = setting();
  const first = sampler.sample();
  await clock.forward(1000);
  await first;
  await clock.forward(61_000);
  const later = sampler.sample();
  await clock.forward(1000);
  expect((await later).node.rate?.window).toBe(1000);
});

const namesOf = (text: string): string[] => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!).sort();

test("the metrics of resources have the kubelet's names, labels and times", async () => {
  const { clock, sampler } = setting();
  const first = sampler.sample();
  await clock.forward(1000);
  const text = resourceText(await first);
  // Of kubelet v1.37.2 (pkg/kubelet/metrics/collectors/resource_metrics.go), without the deprecated scrape_error.
  expect(namesOf(text)).toEqual([
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_start_time_seconds",
    "container_swap_limit_bytes",
    "container_swap_usage_bytes",
    "node_cpu_usage_seconds_total",
    "node_memory_working_set_bytes",
    "node_swap_usage_bytes",
    "pod_cpu_usage_seconds_total",
    "pod_memory_working_set_bytes",
    "pod_swap_usage_bytes",
    "resource_scrape_error",
  ]);
  expect(text).toContain(
    'container_cpu_usage_seconds_total{container="a",pod="web",namespace="default"} 500.5 1001000\n',
  );
  expect(text).toContain("node_memory_working_set_bytes 1024 1001000\n");
  expect(text).toContain("resource_scrape_error 0\n");
});

test("the metrics of cAdvisor have its names and the kubelet's labels", async () => {
  const { clock, sampler } = setting();
  const first = sampler.sample();
  await clock.forward(1000);
  const counters = { interface: "eth0", receivedBytes: 7, receiveErrors: 0, sentBytes: 8, sendErrors: 0 };
  const text = cadvisorText(await first, [{ sandboxId: "s", at: 5, ...counters }]);
  const labels = 'container="a",id="/kubepods/podu/a",image="nginx",name="a",namespace="default",pod="web"';
  // cAdvisor v0.60.5 (metrics/prometheus.go) with the labels of kubelet v1.37.2 (server.go, containerPrometheusLabelsFunc).
  expect(text).toContain(`container_cpu_usage_seconds_total{${labels},cpu="total"} 500.5 1001000\n`);
  expect(text).toContain(`container_memory_failures_total{${labels},failure_type="pgmajfault"} 1 1001000\n`);
  expect(text).toContain(`container_pressure_cpu_waiting_seconds_total{${labels}} 2 1001000\n`);
  const pod = 'container="",id="/kubepods/podu",image="",name="",namespace="default",pod="web"';
  expect(text).toContain(`container_network_receive_bytes_total{${pod},interface="eth0"} 7 5\n`);
  expect(text).toContain('container_memory_usage_bytes{container="",id="/",image="",name="",namespace="",pod=""} 1024');
});
