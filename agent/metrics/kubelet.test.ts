import { expect, test } from "vitest";
import { fakeRuntime } from "#agent/runtime/fake";
import { systemClock } from "#base";
import { kubeletMetrics } from "./index.ts";

test("reports the runtime's operations, their errors and the process's metrics", async () => {
  const { runtime, text } = kubeletMetrics("node-1", fakeRuntime({ clock: systemClock }), systemClock);
  await runtime.images.pull("busybox");
  await runtime.pods.list();
  const start = { sandboxId: "none", sandbox: {}, container: { image: "none" } };
  await expect(runtime.pods.startContainer(start as never)).rejects.toThrow();
  const metrics = await text();
  for (const line of [
    'kubelet_node_name{node="node-1"} 1',
    "kubelet_running_pods 0",
    'kubelet_runtime_operations_total{operation_type="pull_image"} 1',
    'kubelet_runtime_operations_total{operation_type="list_podsandbox"} 1',
    'kubelet_runtime_operations_errors_total{operation_type="start_container"} 1',
  ]) {
    expect(metrics.split("\n")).toContain(line);
  }
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"]) {
    expect(metrics).toMatch(new RegExp(`^${name} [0-9.]+$`, "m"));
  }
});
