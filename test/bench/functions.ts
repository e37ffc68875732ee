import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { ann, tokenFor, whoIs } from "../aws/principals.ts";
import type { LambdaFunction } from "../aws/runtime.ts";
import { build, openStage, type Stage } from "../aws/stage.ts";
import { percentile, report } from "./measure.ts";

/*
 * The Lambda functions: what their bundles weigh, how long the first answer takes, and a warm one. Each process gets
 * the share of a core that Lambda gives for its memory (1,769 MB is one core), where control groups can be made.
 */

const coreAt = 1769;
const share = (memory: number): number => memory / coreAt;
const rounds = 5;
const warmGets = 100;

/** Processor time of a process so far, in milliseconds. */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A control group with a quota of CPU; undefined where none can be made. */
function quotaGroup(name: string, cores: number): { procs: string; remove: () => void } | undefined {
  const period = 20_000;
  for (const [root, write] of [
    ["/sys/fs/cgroup/cpu", (folder: string) => writeQuota1(folder, cores, period)],
    [
      "/sys/fs/cgroup",
      (folder: string) => writeFileSync(`${folder}/cpu.max`, `${Math.round(cores * period)} ${period}`),
    ],
  ] as const) {
    const folder = `${root}/${name}`;
    try {
      mkdirSync(folder);
      write(folder);
      return { procs: `${folder}/cgroup.procs`, remove: () => rmdirSync(folder) };
    } catch {
      // The other version of control groups, or none.
    }
  }
  return undefined;
}

function writeQuota1(folder: string, cores: number, period: number): void {
  writeFileSync(`${folder}/cpu.cfs_period_us`, String(period));
  writeFileSync(`${folder}/cpu.cfs_quota_us`, String(Math.round(cores * period)));
}

const request = (path: string, token: string) => ({
  resource: "/{proxy+}",
  path,
  httpMethod: "GET",
  multiValueHeaders: { authorization: [`Bearer ${token}`], accept: ["application/json"] },
  multiValueQueryStringParameters: null,
  body: null,
  isBase64Encoded: false,
  requestContext: { requestId: "bench", identity: {} },
});

/** An event that each function answers without a lasting effect. */
const harmless: Record<string, unknown> = {
  reconcile: { Records: [] },
  schedule: { Records: [] },
  stream: { Records: [] },
  fargate: { Records: [] },
  tick: {},
  link: { requestContext: { eventType: "CONNECT", connectionId: "c", identity: {} } },
};

async function timed(target: LambdaFunction, event: unknown): Promise<number> {
  const started = performance.now();
  const { body } = await target.invoke(event);
  for await (const chunk of body) void chunk;
  return performance.now() - started;
}

/** Cold starts: each round in a process of its own. */
async function cold(target: LambdaFunction, event: unknown): Promise<{ wall: number; processor: number }[]> {
  const found: { wall: number; processor: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const name of target.instances) target.kill(name);
    while (target.instances.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const wall = await timed(target, event);
    found.push({ wall, processor: processorTime(target.pids[0]!) });
  }
  return found;
}

/** Memory sizes in MB, beside the deployed one, at which the API is measured: the price of faster answers. */
const otherSizes = [512, 640, 768, 1024];

export async function benchFunctions(): Promise<void> {
  const built = await build();
  const sizes = new Set([...built.wiring.functions.map(({ memory }) => memory), ...otherSizes]);
  const groups = new Map(
    [...sizes].map((memory) => [memory, quotaGroup(`skiff-bench-${process.pid}-${memory}`, share(memory))]),
  );
  /** Memory of the API function in MB, if it differs from the deployed one. */
  let instead: number | undefined;
  const memoryOf = ({ name, memory }: { name: string; memory: number }) => (name === "api" && instead) || memory;
  const wrap = (deployed: { name: string; memory: number }): string[] => {
    const group = groups.get(memoryOf(deployed));
    return group ? ["sh", "-c", `echo $$ > ${group.procs}; exec "$@"`, "sh"] : [];
  };
  const stage = await openStage({ built, whoIs, wrap });
  try {
    await stage.deploy();
    const token = await tokenFor(ann, stage.clusterId);
    const paramsOf = ({ deployed }: LambdaFunction) => {
      const memory = memoryOf(deployed);
      return { memory, core: Number(share(memory).toFixed(2)), quota: groups.get(memory) !== undefined, rounds };
    };
    const tryCold = async (name: string, target: LambdaFunction): Promise<void> => {
      const event = name === "api" ? request("/api/v1/namespaces/default", token) : harmless[name];
      if (event === undefined) return;
      const found = await cold(target, event);
      const median = (values: number[]): number => percentile(values, 0.5);
      const processor = median(found.map((each) => each.processor));
      const wall = median(found.map((each) => each.wall));
      report(`function.${name}.cold`, wall, "ms", { ...paramsOf(target), bytes: built.sizes[name], processor });
    };
    for (const [name, target] of stage.functions) await tryCold(name, target);
    const api = stage.functions.get("api")!;
    await warm(stage, token, paramsOf(api));
    for (instead of otherSizes.filter((size) => size !== api.deployed.memory)) await tryCold("api", api);
  } finally {
    await stage.stop();
    for (const group of groups.values()) group?.remove();
    rmSync(built.folder, { recursive: true, force: true });
  }
}

async function warm(stage: Stage, token: string, params: Record<string, unknown>): Promise<void> {
  const api = stage.functions.get("api")!;
  const event = request("/api/v1/namespaces/default", token);
  for (let round = 0; round < 20; round++) await timed(api, event);
  const before = processorTime(api.pids[0]!);
  const samples: number[] = [];
  for (let round = 0; round < warmGets; round++) samples.push(await timed(api, event));
  const own = (processorTime(api.pids[0]!) - before) / warmGets;
  report("function.api.warm.get", percentile(samples, 0.5), "ms", { ...params, rounds: warmGets, ownProcessor: own });
}
