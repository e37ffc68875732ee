import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { Pod } from "#api";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { groupsOf, type Logind, NodeShutdown, parsePeriods, systemdLogind } from "./index.ts";

const pod = (name: string, priority?: number, grace = 30) =>
  ({ metadata: { name }, spec: { priority, terminationGracePeriodSeconds: grace, containers: [] } }) as unknown as Pod;
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

// Upstream's migrateConfig, groupByPriority and ValidateKubeletConfiguration.
test("periods come from both forms of the options, and pods belong to the last that is not above them", () => {
  const critical = 2_000_000_000;
  expect(parsePeriods({})).toEqual([]);
  const both = parsePeriods({ total: "1m", critical: "20s" });
  expect(both).toEqual([
    { priority: 0, seconds: 40 },
    { priority: critical, seconds: 20 },
  ]);
  const periods = parsePeriods({ byPriority: "1000=10s,0=5s,100000=1m30s" });
  expect(periods.map(({ priority, seconds }) => [priority, seconds])).toEqual([
    [0, 5],
    [1000, 10],
    [100_000, 90],
  ]);
  const pods = [pod("none"), pod("low", -5), pod("edge", 1000), pod("between", 5000), pod("high", 1_000_000)];
  const names = groupsOf(periods, pods).map((group) => group.pods.map(({ metadata }) => metadata.name));
  expect(names).toEqual([["none", "low"], ["edge", "between"], ["high"]]);
  expect(() => parsePeriods({ total: "10s", critical: "20s" })).toThrow("must be <= shutdownGracePeriod 10s");
  expect(() => parsePeriods({ total: "10s", byPriority: "0=1s" })).toThrow("Cannot specify both");
  expect(() => parsePeriods({ total: "soon" })).toThrow('"soon" is no duration');
  expect(() => parsePeriods({ byPriority: "0" })).toThrow('"0" is not of the form <priority>=<duration>');
});

/** A logind whose shutdowns the test begins. */
function fakeLogind(delay: number) {
  const log: string[] = [];
  let send: (begins: boolean) => void = () => {};
  const logind: Logind = {
    delaySeconds: async () => delay,
    setDelay: async (seconds) => {
      log.push(`delay ${seconds}`);
      delay = seconds;
    },
    lock: async () => {
      log.push("lock");
      return () => log.push("release");
    },
    async *shutdowns(signal) {
      while (!signal.aborted) {
        const next = Promise.withResolvers<boolean>();
        send = next.resolve;
        signal.addEventListener("abort", () => next.reject(new Error("stopped")), { once: true });
        yield await next.promise;
      }
    },
  };
  return { logind, log, begin: (begins: boolean) => send(begins) };
}

// Upstream's podManager.killPods and processShutdownEvent.
test("a shutdown waits until pods have ended by their priority, within the period of each group", async () => {
  const clock = handClock(0, settle);
  const { logind, log, begin } = fakeLogind(5);
  const ends: string[] = [];
  const ending = new Map<string, () => void>();
  const shutdown = new NodeShutdown({
    ...{ periods: parsePeriods({ total: "30s", critical: "10s" }), logind, clock, log: silentLog },
    pods: () => [pod("app", 0, 60), pod("quick", 0, 3), pod("dns", 2_000_000_000)],
    end: ({ metadata }, { reason, graceSeconds }) => {
      ends.push(`${metadata.name} ${reason} ${graceSeconds}`);
      return new Promise((resolve) => ending.set(metadata.name!, resolve));
    },
    record: (message) => log.push(message),
    changed: () => log.push("changed"),
  });
  const stopping = new AbortController();
  const running = shutdown.run(stopping.signal);
  await settle();
  expect(log).toEqual(["delay 30", "lock"]);
  expect(shutdown.rejection()).toBeUndefined();
  begin(true);
  await settle();
  expect(log.slice(2)).toEqual(["Shutdown manager detected shutdown event", "changed"]);
  expect(shutdown.rejection()).toEqual({
    ...{ reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down." },
  });
  expect(ends).toEqual(["app Terminated 20", "quick Terminated 3"]);
  ending.get("quick")!();
  await clock.forward(19_000);
  expect(ends).toHaveLength(2);
  // One pod takes too long: the next group follows at the end of the period.
  await clock.forward(1000);
  expect(ends.slice(2)).toEqual(["dns Terminated 10"]);
  expect(log).not.toContain("release");
  ending.get("dns")!();
  await settle();
  expect(log.at(-1)).toBe("release");
  begin(false);
  await settle();
  expect(log.slice(-4)).toEqual(["Shutdown manager detected shutdown cancellation", "changed", "release", "lock"]);
  expect(shutdown.isShuttingDown).toBe(false);
  stopping.abort();
  await running;
  expect(log.at(-1)).toBe("release");
});

let folder = "";
afterEach(async () => {
  vi.unstubAllEnvs();
  if (folder) await rm(folder, { recursive: true, force: true });
});

test("speaks to logind by systemd's programs", async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-logind-"));
  const program = async (name: string, script: string): Promise<void> => {
    await writeFile(join(folder, name), `#!/bin/sh\necho "${name} $*" >> ${folder}/calls\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  };
  const signals = [true, false].map((data) =>
    JSON.stringify({ member: "PrepareForShutdown", payload: { data: [data] } }),
  );
  const monitor = ['{"member":"Other"}', "no json", ...signals].map((line) => `echo '${line}'`).join("; ");
  await program("busctl", `if [ "$1" = monitor ]; then ${monitor}; exec sleep 60; else echo "t 5000000"; fi`);
  await program("systemctl", "");
  await program("systemd-inhibit", `while [ "$1" != sh ]; do shift; done; "$@"; echo released >> ${folder}/calls`);
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
  const logind = systemdLogind(join(folder, "conf.d", "99-kubelet.conf"));
  expect(await logind.delaySeconds()).toBe(5);
  await logind.setDelay(30);
  expect(await readFile(join(folder, "conf.d", "99-kubelet.conf"), "utf8")).toContain(
    "[Login]\nInhibitDelayMaxSec=30\n",
  );
  const release = await logind.lock();
  const calls = () => readFile(join(folder, "calls"), "utf8");
  expect(await calls()).toContain("systemctl kill --signal=SIGHUP systemd-logind.service");
  expect(await calls()).toContain("systemd-inhibit --what=shutdown --who=kubelet");
  release();
  while (!(await calls()).includes("released")) await new Promise(setImmediate);
  const stop = new AbortController();
  const seen: boolean[] = [];
  for await (const begins of logind.shutdowns(stop.signal)) {
    seen.push(begins);
    if (seen.length === 2) break;
  }
  expect(seen).toEqual([true, false]);
});

test("a machine without logind is reported once, and does without", async () => {
  const clock = handClock(0, settle);
  const warnings: string[] = [];
  const { logind } = fakeLogind(5);
  const shutdown = new NodeShutdown({
    ...{ periods: parsePeriods({ total: "30s" }), clock },
    logind: { ...logind, delaySeconds: () => Promise.reject(new Error("spawn busctl ENOENT")) },
    log: { ...silentLog, warn: (message, fields) => warnings.push(`${message}: ${fields?.["error"]}`) },
    ...{ pods: () => [], end: async () => {}, record: () => {}, changed: () => {} },
  });
  const stopping = new AbortController();
  const running = shutdown.run(stopping.signal);
  await clock.forward(60_000);
  stopping.abort();
  await running;
  expect(warnings).toEqual(["shutdowns of the machine cannot be delayed: spawn busctl ENOENT"]);
});
