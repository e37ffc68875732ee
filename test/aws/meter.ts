import { readFileSync } from "node:fs";
import type { Usage } from "#cost";
import { whoIs } from "./principals.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/** The share of a core that Lambda allots to the memory: 1,769 MB is one core. */
const coreAt = 1769;
/** The average duration of a service call, in milliseconds. */
const callTime = 6;

/** A stage that counts its usage in the units of the price list. */
export interface Metered {
  stage: Stage;
  /** The usage of `what`, until everything that it caused is complete. */
  use(what: () => Promise<unknown>): Promise<Usage>;
}

/** Actions that write; all others of DynamoDB read. */
const isWrite = (action: string): boolean => /Write|Put|Update|Delete/.test(action);

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

function processorTime(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}

export async function openMetered(built: Built): Promise<Metered> {
  let units = { writeUnits: 0, readUnits: 0 };
  let written = 0;
  const stage = await openStage({
    built,
    whoIs,
    consumed: (target, count) => {
      units[isWrite(target.split(".")[1] ?? "") ? "writeUnits" : "readUnits"] += count;
    },
    output: (_, line) => {
      written += line.length;
    },
  });
  const functions = [...stage.functions.values()];
  const invocations = () => functions.map((one) => one.invocations);
  const processors = () => functions.map((one) => one.pids.reduce((total, pid) => total + processorTime(pid), 0));
  const calls = () => new Map(stage.cloud.counts);
  const callers = () => functions.map(({ deployed }) => stage.cloud.callers.get(deployed.name) ?? 0);
  /** No call for a second. */
  const rest = async (): Promise<void> => {
    for (let calm = 0, last = ""; calm < 12; ) {
      await pause(100);
      const now = JSON.stringify([...invocations(), ...stage.cloud.counts.values()]);
      calm = now === last ? calm + 1 : 0;
      last = now;
    }
  };
  return {
    stage,
    async use(what) {
      await rest();
      units = { writeUnits: 0, readUnits: 0 };
      written = 0;
      const [invokedBefore, processorBefore, callsBefore] = [invocations(), processors(), calls()];
      const callersBefore = callers();
      const transitionsBefore = stage.transitions;
      await what();
      await rest();
      const [invoked, processor, called] = [invocations(), processors(), callers()];
      const made = (prefix: string) =>
        [...stage.cloud.counts].reduce(
          (total, [target, count]) =>
            target.startsWith(prefix) ? total + count - (callsBefore.get(target) ?? 0) : total,
          0,
        );
      const gbSeconds = functions.map((one, place) => {
        const own = (processor[place]! - processorBefore[place]!) / (one.deployed.memory / coreAt);
        const waited = (called[place]! - callersBefore[place]!) * callTime;
        return ((own + waited) / 1000) * (one.deployed.memory / 1024);
      });
      const taken = invoked.map((count, place) => count - invokedBefore[place]!);
      const batches = functions.reduce(
        (total, one, place) =>
          ["reconcile", "schedule", "fargate"].includes(one.deployed.name) ? total + taken[place]! : total,
        0,
      );
      return {
        ...units,
        lambdaRequests: taken.reduce((total, count) => total + count, 0),
        lambdaGbSeconds: gbSeconds.reduce((total, seconds) => total + seconds, 0),
        // A batch is received and deleted by Lambda.
        fifoRequests: made("AmazonSQS") + 2 * batches,
        transitions: stage.transitions - transitionsBefore,
        secretCalls: made("secretsmanager"),
        logGb: written / 1e9,
      };
    },
  };
}
