import { afterAll, beforeAll, expect, test } from "vitest";
import type { HttpClient } from "#client";
import { check, kubectl, type Setting } from "../kubectl/runner.ts";
import { createPod, readyPod } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;
let setting: Setting;

const bytes = 8 * 2 ** 20;

beforeAll(async () => {
  machine = await Machine.open();
  ({ client, setting } = machine);
  const shell = (name: string, script: string, more: object = {}) => ({
    ...{ name, image: "busybox", command: ["sh", "-c", script] },
    ...more,
  });
  await createPod(client, "busy", {
    terminationGracePeriodSeconds: 1,
    containers: [
      shell("burn", "while :; do :; done", { resources: { limits: { cpu: "200m", memory: "64Mi" } } }),
      shell("write", `dd if=/dev/zero of=/data/file bs=${bytes} count=1; sleep 10000`, {
        volumeMounts: [{ name: "data", mountPath: "/data" }],
      }),
    ],
    volumes: [{ name: "data", emptyDir: {} }],
  });
  await readyPod(client, "busy");
});
afterAll(() => machine?.close());

const source = "kubectl top with metrics-server v0.8.0; a quota of 200m is not exceeded";

test("kubectl top shows what pods, containers and nodes use", async () => {
  const containers = "top pods --containers --no-headers";
  await check(setting, { run: containers, out: /^busy +burn +\d+m +\d+Mi/m, within: 30, source });
  const { out } = await kubectl(setting, { run: containers });
  const burned = Number(/burn +(\d+)m/.exec(out)?.[1]);
  expect(burned).toBeGreaterThan(20);
  expect(burned).toBeLessThan(260);
  await check(setting, { run: "top pods -l none=none", err: /No resources found/, source });
  await check(setting, { run: "top nodes", global: true, out: /^boat +\d+m +\d+% +\d+Mi +\d+%/m, source });
  await check(setting, { run: "get podmetrics busy -o yaml", out: /window: [\d.]+m?s/, source });
});

test("the summary has the pod's disk, network and processes", async () => {
  const summary = () => kubectl(setting, { run: "get --raw /api/v1/nodes/boat/proxy/stats/summary", global: true });
  await expect
    .poll(
      async () => {
        const { node, pods } = JSON.parse((await summary()).out);
        expect(node).toMatchObject({ nodeName: "boat", fs: { capacityBytes: expect.any(Number) } });
        const [pod] = pods;
        expect(pod.podRef).toMatchObject({ namespace: "default", name: "busy" });
        expect(pod.containers.map(({ name }: { name: string }) => name).sort()).toEqual(["burn", "write"]);
        expect(pod.process_stats.process_count).toBeGreaterThanOrEqual(3);
        expect(pod.network.interfaces[0].rxBytes).toBeGreaterThanOrEqual(0);
        const volume = pod.volume.find(({ name }: { name: string }) => name === "data");
        const names = pod.volume.map(({ name }: { name: string }) => name);
        expect(names).toContainEqual(expect.stringMatching(/^kube-api-access-/));
        expect(pod["ephemeral-storage"].usedBytes).toBeGreaterThanOrEqual(volume.usedBytes);
        return volume.usedBytes;
      },
      { timeout: 120_000, interval: 1000 },
    )
    .toBeGreaterThanOrEqual(bytes);
});

test("scrapers find the containers under the kubelet's and cAdvisor's names", async () => {
  const raw = async (path: string): Promise<string> =>
    (await kubectl(setting, { run: `get --raw /api/v1/nodes/boat/proxy/metrics/${path}`, global: true })).out;
  const value = (text: string, name: string, labels: string): number =>
    Number(new RegExp(`^${name}\\{[^}]*${labels}[^}]*\\} ([\\d.]+)`, "m").exec(text)?.[1]);
  const resource = await raw("resource");
  expect(value(resource, "container_cpu_usage_seconds_total", 'container="burn"')).toBeGreaterThan(0);
  const cadvisor = await raw("cadvisor");
  expect(value(cadvisor, "container_cpu_cfs_throttled_periods_total", 'container="burn"')).toBeGreaterThan(0);
  expect(value(cadvisor, "container_spec_memory_limit_bytes", 'container="burn"')).toBe(64 * 2 ** 20);
  expect(value(cadvisor, "container_network_receive_bytes_total", 'pod="busy"')).toBeGreaterThanOrEqual(0);
});
