import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { benchApi } from "./api.ts";
import { benchDns } from "./dns.ts";
import { benchFunctions } from "./functions.ts";
import { report } from "./measure.ts";
import { benchPodStart } from "./pod-start.ts";
import { benchProxy } from "./proxy.ts";
import { benchReplay } from "./replay.ts";
import { benchScale } from "./scale.ts";
import { benchStore } from "./store.ts";
import { connect } from "./wire.ts";

/*
 * `npm run bench [-- api replay scale pods dns proxy store functions]`: figures as lines of JSON on standard output; `node` is
 * those of one node: `pods dns proxy`. The cluster runs in processes of its own on the same machine as the load. Nothing here is a test: no figure fails.
 */

const wanted = new Set(process.argv.slice(2));
const asked = (name: string): boolean => wanted.size === 0 || wanted.has(name);

/** Memory of a process in MiB: resident, and with shared pages counted by the share that is its own. */
function memoryOf(pid: number): { rss: number; pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const read = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) / 1024;
  return { rss: read("Rss"), pss: read("Pss") };
}

function memory(name: string, skiff: SkiffProcess, params: Record<string, unknown>): void {
  const running = JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8")) as {
    pid: number;
    agent: number;
  };
  const [server, agent] = [memoryOf(running.pid), memoryOf(running.agent)];
  report(`memory.${name}`, server.rss + agent.rss, "MiB", {
    controlPlane: Math.round(server.rss),
    agent: Math.round(agent.rss),
    sharedOnce: Math.round(server.pss + agent.pss),
    ...params,
  });
}

async function withSkiff(options: readonly string[], work: (skiff: SkiffProcess) => Promise<void>): Promise<void> {
  const started = performance.now();
  const skiff = await startSkiff(["--runtime", "fake", ...options]);
  report("startup", performance.now() - started, "ms", { options });
  try {
    await work(skiff);
  } finally {
    await skiff.stop();
  }
}

if (asked("api")) {
  await withSkiff([], async (skiff) => {
    memory("idle", skiff, {});
    const wire = connect(skiff.dataDir, 64);
    await benchApi(wire);
    memory("loaded", skiff, { after: "api" });
    wire.close();
  });
}
// A part of `api` that can be run alone.
if (asked("api") || asked("replay")) await benchReplay(["--runtime", "fake"]);
if (asked("scale")) {
  const [pods, nodes] = [5000, 500];
  await withSkiff(["--nodes", String(nodes)], async (skiff) => {
    const wire = connect(skiff.dataDir, 8);
    await benchScale(wire, pods, nodes);
    memory("scale", skiff, { pods, nodes });
    wire.close();
  });
}
if (asked("pods") || asked("node")) await benchPodStart();
if (asked("dns") || asked("node")) await withSkiff([], benchDns);
if (asked("proxy") || asked("node")) await benchProxy();
if (asked("store")) await benchStore();
if (asked("functions")) await benchFunctions();
