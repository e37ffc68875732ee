import { perHeartbeat, perRead, perTick, perWrite } from "./measured.ts";
import { sum, times, type Usage } from "./prices.ts";

export interface Load {
  /** Machines that heartbeat. */
  agents: number;
  /** Requests of clients a month, writes among them. */
  requests: number;
  writes: number;
  /** GB of objects and their log. */
  stored: number;
}

const minutesAMonth = 730 * 60;
const heartbeatsAMinute = 1.5;

/** A month's usage besides what stands. */
export function usageOf({ agents, requests, writes, stored }: Load): Usage {
  const agentMinutes = agents * minutesAMonth;
  return sum(
    times(perTick, minutesAMonth),
    times(perHeartbeat, agentMinutes * heartbeatsAMinute),
    { socketMinutes: agentMinutes },
    times(perRead, requests - writes),
    times(perWrite, writes),
    { storedGb: stored, recoverableGb: stored },
  );
}
