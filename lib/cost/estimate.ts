import { measured } from "./measured.ts";
import { sum, times, type Usage } from "./prices.ts";

export interface Load {
  /** Machines that heartbeat. */
  agents: number;
  /** Requests of clients a month, writes among them, and those of the writes that roll a Deployment out. */
  requests: number;
  writes: number;
  rollouts: number;
  /** GB of objects and their log. */
  stored: number;
}

const minutesAMonth = 730 * 60;
const heartbeatsAMinute = 1.5;
/** An idle agent lists its two watched kinds every two hours, by a watch of a second. */
const looksAMinute = 2 / 120;
const perLook: Usage = { apiRequests: 1, lambdaRequests: 1, lambdaGbSeconds: 0.55, readUnits: 3 };

/** A month's usage beyond the fixed costs. */
export function usageOf({ agents, requests, writes, rollouts, stored }: Load): Usage {
  const { perTick, perHeartbeat, perRead, perWrite, perRollout } = measured;
  const agentMinutes = agents * minutesAMonth;
  return sum(
    times(perTick, minutesAMonth),
    times(perHeartbeat, agentMinutes * heartbeatsAMinute),
    { socketMinutes: agentMinutes },
    times(perLook, agentMinutes * looksAMinute),
    times(perRead, requests - writes),
    times(perWrite, writes - rollouts),
    times(perRollout, rollouts),
    { storedGb: stored, recoverableGb: stored },
  );
}
