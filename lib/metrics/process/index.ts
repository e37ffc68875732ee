/**
 * What a process reports of itself for Prometheus: `process_*` and `nodejs_*`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricRegistry } from "#metrics";

/** Adds `process_*` and `nodejs_*`. Without /proc its values are left out. */
export function processMetrics(registry: MetricRegistry): void {
  const started = Date.now() / 1000 - process.uptime();
  const gauge = (name: string, help: string, value: () => number | undefined) => {
    registry.read({ name, help }, () => one(value()));
  };
  registry.read(
    { name: "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.", type: "counter" },
    () => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / 1e6);
    },
  );
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () => process.memoryUsage.rss());
  gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtualMemory);
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", () => started);
  gauge("process_open_fds", "Number of open file descriptors.", openFiles);
  gauge("process_max_fds", "Maximum number of open file descriptors.", mostFiles);
  gauge(
    "nodejs_heap_size_used_bytes",
    "Process heap size used from Node.js in bytes.",
    () => process.memoryUsage().heapUsed,
  );
  gauge(
    "nodejs_heap_size_total_bytes",
    "Process heap size from Node.js in bytes.",
    () => process.memoryUsage().heapTotal,
  );
  const delay = monitorEventLoopDelay();
  delay.enable();
  gauge("nodejs_eventloop_lag_p99_seconds", "The 99th percentile of the recorded event loop delays.", () => {
    // Nothing has been recorded yet in a process that has just begun.
    return delay.count === 0 ? undefined : delay.percentile(99) / 1e9;
  });
}

const one = (value: number | undefined): [string[], number][] => (value === undefined ? [] : [[[], value]]);

function read(file: string): string | undefined {
  try {
    return readFileSync(`/proc/self/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

function virtualMemory(): number | undefined {
  const kibibytes = /^VmSize:\s+(\d+) kB/m.exec(read("status") ?? "")?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function mostFiles(): number | undefined {
  const most = /^Max open files\s+(\d+)/m.exec(read("limits") ?? "")?.[1];
  return most === undefined ? undefined : Number(most);
}
