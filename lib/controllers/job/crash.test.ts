import { expect, test } from "vitest";
import type { Pod } from "#api";
import { jobController } from "./index.ts";
import { type Death, jobObject, minute, openStage, type Stage, second } from "./testing/stage.ts";

/** A story: what happens to a job and its pods, whatever the controller goes through. */
interface Story {
  spec: Record<string, unknown>;
  /** Performs the next action; false when only time can cause one. */
  play(stage: Stage, active: Pod[], memory: Record<string, number>): Promise<boolean>;
}

const indexOf = ({ metadata }: Pod) => metadata.annotations?.["batch.kubernetes.io/job-completion-index"];
const isWaiting = ({ status }: Pod) => status?.phase === "Pending";
const once = (memory: Record<string, number>, what: string): boolean => {
  memory[what] = (memory[what] ?? 0) + 1;
  return memory[what] === 1;
};

const stories: Record<string, Story> = {
  "two failures, then successes": {
    spec: { completions: 3, parallelism: 2 },
    async play(stage, [pod], memory) {
      if (!pod) return false;
      memory["ended"] = (memory["ended"] ?? 0) + 1;
      await stage.finish(pod, memory["ended"] <= 2 ? 1 : 0);
      return true;
    },
  },
  "too many failures while others run": {
    spec: { completions: 3, parallelism: 3, backoffLimit: 0 },
    async play(stage, active, memory) {
      if (active.length < 3) return false;
      for (const pod of active.slice(1)) await stage.run(pod);
      if (once(memory, "failed")) await stage.finish(active[0]!, 1);
      return true;
    },
  },
  "an index that always fails": {
    spec: { completions: 3, parallelism: 3, completionMode: "Indexed", backoffLimitPerIndex: 1 },
    async play(stage, active) {
      for (const pod of active) await stage.finish(pod, indexOf(pod) === "0" ? 1 : 0);
      return active.length > 0;
    },
  },
  "a success policy that is met early": {
    spec: {
      completions: 3,
      parallelism: 3,
      completionMode: "Indexed",
      successPolicy: { rules: [{ succeededIndexes: "1" }] },
    },
    async play(stage, active) {
      for (const pod of active.filter(isWaiting)) {
        if (indexOf(pod) === "1") await stage.finish(pod);
        else await stage.run(pod);
      }
      return active.some(isWaiting);
    },
  },
  "suspended and resumed": {
    spec: { completions: 2, parallelism: 2 },
    async play(stage, active, memory) {
      for (const pod of active.filter(isWaiting)) await stage.run(pod);
      if (active.length === 2 && once(memory, "suspend")) await stage.change({ spec: { suspend: true } });
      else if (active.length === 0 && memory["suspend"] && once(memory, "resume")) {
        await stage.change({ spec: { suspend: false } });
      } else if (active.length === 2 && memory["resume"]) for (const pod of active) await stage.finish(pod);
      else return false;
      return true;
    },
  },
  "a deadline": {
    spec: { completions: 2, parallelism: 2, activeDeadlineSeconds: 30 },
    async play(stage, active) {
      for (const pod of active.filter(isWaiting)) await stage.run(pod);
      return active.some(isWaiting);
    },
  },
  "a failure that ends all": {
    spec: {
      completions: 3,
      parallelism: 2,
      podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values: [42] } }] },
    },
    async play(stage, active, memory) {
      const [one, two] = active;
      if (!one || !two || !once(memory, "failed")) return false;
      await stage.run(two);
      await stage.finish(one, 42);
      return true;
    },
  },
  "fewer at once": {
    spec: { completions: 4, parallelism: 4 },
    async play(stage, active, memory) {
      if (active.length === 4 && once(memory, "less")) {
        await stage.change({ spec: { parallelism: 1 } });
        return true;
      }
      if (active.length !== 1) return false;
      await stage.finish(active[0]!);
      return true;
    },
  },
};

interface End {
  status: unknown;
  pods: string[];
  writes: number;
}

/** Runs a story to its end: reconciles, and moves the clock where nothing else happens. */
async function tell(story: Story, death?: Death): Promise<End> {
  const stage = await openStage(death);
  try {
    await stage.make(jobObject(story.spec));
    const memory: Record<string, number> = {};
    for (let round = 0; round < 200; round++) {
      const result = await stage.settle(jobController, "pi");
      const job = await stage.job();
      const ending = (await stage.pods()).filter(({ metadata }) => metadata.deletionTimestamp);
      await stage.removeDeleted("Failed");
      if (ending.length > 0) continue;
      if (job.status?.conditions?.some(({ type, status }) => /Complete|Failed/.test(type) && status === "True")) break;
      if (await story.play(stage, await stage.active(), memory)) continue;
      stage.clock.move(Math.max(second, Math.min(result?.requeueAfter ?? second, 10 * minute)));
    }
    const { startTime: _start, completionTime: _completion, conditions, ...status } = (await stage.job()).status ?? {};
    const told = conditions?.map(({ type, status: value, reason, message }) => [
      type,
      value,
      reason,
      message?.replace(/pi-\w+/, ""),
    ]);
    const left = await stage.pods();
    return {
      status: { ...status, told },
      pods: left.map(({ metadata, status: { phase } = {} }) => `${phase} ${metadata.finalizers ?? "free"}`).sort(),
      writes: stage.writes,
    };
  } finally {
    await stage.close();
  }
}

test.each(Object.entries(stories))(
  "%s: reaches the same end wherever the controller crashes",
  { timeout: 120_000 },
  async (_, story) => {
    const undisturbed = await tell(story);
    expect(JSON.stringify(undisturbed.status)).toMatch(/"(?:Complete|Failed)","True"/);
    expect(undisturbed.pods.every((pod) => pod.endsWith(" free"))).toBe(true);
    expect(undisturbed.writes).toBeGreaterThan(5);
    for (let write = 1; write <= undisturbed.writes; write++) {
      for (const when of ["before", "after"] as const) {
        const { status, pods } = await tell(story, { write, when });
        expect({ status, pods }, `dies ${when} write ${write}`).toEqual({
          status: undisturbed.status,
          pods: undisturbed.pods,
        });
      }
    }
  },
);
