import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Cgroups, pressureOf, slicePath } from "./cgroup.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A mount point with these files. */
function mounted(files: Record<string, string>): Cgroups {
  const folder = mkdtempSync(join(tmpdir(), "skiff-cgroup-"));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return new Cgroups(folder);
}

// Values as cAdvisor takes them from the same files (container/libcontainer/handler.go, setCPUStats and setMemoryStats).
test("reads cgroup v2", async () => {
  const cgroups = mounted({
    "cgroup.controllers": "cpu memory\n",
    "p/cpu.stat":
      "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7000\n",
    "p/memory.current": "8000000\n",
    "p/memory.max": "max\n",
    "p/memory.stat": "anon 3000000\nfile 4000000\nfile_mapped 1000\ninactive_file 1500000\npgfault 77\npgmajfault 3\n",
    "p/memory.swap.current": "4096\n",
    "p/memory.swap.max": "8192\n",
    "p/pids.current": "12\n",
    "p/cpu.pressure":
      "some avg10=1.50 avg60=0.20 avg300=0.00 total=900\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=30\n",
  });
  expect(await cgroups.read("p")).toEqual({
    cpu: { total: 2.5e9, user: 2e9, system: 5e8, periods: 10, throttledPeriods: 4, throttled: 7e6 },
    memory: {
      usage: 8_000_000,
      workingSet: 6_500_000,
      rss: 3_000_000,
      cache: 4_000_000,
      mappedFile: 1000,
      pageFaults: 77,
      majorPageFaults: 3,
    },
    swap: { usage: 4096, limit: 8192 },
    threads: 12,
    pressure: {
      cpu: {
        some: { avg10: 1.5, avg60: 0.2, avg300: 0, total: 900 },
        full: { avg10: 0, avg60: 0, avg300: 0, total: 30 },
      },
    },
  });
  expect(await cgroups.read("q")).toBeUndefined();
});

test("reads cgroup v1, in which pages that the kernel drops first are more than the usage of an idle group", async () => {
  const cgroups = mounted({
    "cpuacct/p/cpuacct.usage": "2500000123\n",
    "cpuacct/p/cpuacct.stat": "user 200\nsystem 50\n",
    "cpu/p/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
    "memory/p/memory.usage_in_bytes": "1000\n",
    "memory/p/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/p/memory.stat":
      "cache 1\ntotal_cache 900\ntotal_rss 50\ntotal_mapped_file 7\ntotal_inactive_file 1200\ntotal_pgfault 5\ntotal_pgmajfault 1\n",
    "memory/limited/memory.usage_in_bytes": "1\n",
  });
  expect(await cgroups.read("p")).toEqual({
    cpu: { total: 2_500_000_123, user: 2e9, system: 5e8 },
    memory: { usage: 1000, workingSet: 0, rss: 50, cache: 900, mappedFile: 7, pageFaults: 5, majorPageFaults: 1 },
  });
  // A group that ends while it is read.
  expect(await cgroups.read("limited")).toBeUndefined();
});

test("a slice of systemd is in the slices that its name lists", () => {
  const name = "kubepods-burstable-pod0a_b.slice";
  expect(slicePath(name)).toBe(`/kubepods.slice/kubepods-burstable.slice/${name}`);
  expect(slicePath("/kubepods/poda-b")).toBe("/kubepods/poda-b");
});

test("a kernel without pressure of its processors for all tasks has some", () => {
  expect(pressureOf("some avg10=0.10 avg60=0.00 avg300=0.00 total=5\n")?.full.total).toBe(0);
  expect(pressureOf("")).toBeUndefined();
});
