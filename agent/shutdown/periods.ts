import type { Pod } from "#api";

/** Pods with at least this priority have this long to end. */
export interface Period {
  priority: number;
  seconds: number;
}

/** The kubelet's options, as Go durations; `byPriority` has the form `0=10s,100000=1m`. */
export interface ShutdownOptions {
  total?: string | undefined;
  critical?: string | undefined;
  byPriority?: string | undefined;
}

/** Pods with at least this priority are critical (scheduling.SystemCriticalPriority). */
const systemCritical = 2_000_000_000;

/**
 * The periods of a configuration, by rising priority; none where it configures no graceful shutdown. Throws an Error in
 * the words of the kubelet's validation.
 */
export function parsePeriods({ total = "", critical = "", byPriority = "" }: ShutdownOptions): Period[] {
  const whole = seconds("shutdownGracePeriod", total);
  const last = seconds("shutdownGracePeriodCriticalPods", critical);
  if (byPriority !== "") {
    if (whole > 0 || last > 0) {
      throw new Error("Cannot specify both shutdownGracePeriodByPodPriority and shutdownGracePeriod at the same time");
    }
    return byPriority
      .split(",")
      .map(parsePeriod)
      .sort((a, b) => a.priority - b.priority);
  }
  if (last > whole) {
    throw new Error(`shutdownGracePeriodCriticalPods ${critical} must be <= shutdownGracePeriod ${total || "0s"}`);
  }
  if (whole === 0) return [];
  return [
    { priority: 0, seconds: whole - last },
    { priority: systemCritical, seconds: last },
  ];
}

function parsePeriod(text: string): Period {
  const [, priority = "", duration = ""] = /^\s*(-?\d+)=(\S+)\s*$/.exec(text) ?? [];
  if (duration === "") throw new Error(`${JSON.stringify(text)} is not of the form <priority>=<duration>`);
  return { priority: Number(priority), seconds: seconds(priority, duration) };
}

const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** Whole seconds of a Go duration; "" and "0" are none. */
function seconds(name: string, text: string): number {
  if (text === "" || text === "0") return 0;
  if (!/^(?:\d+(?:h|m|s))+$/.test(text)) throw new Error(`${name}: ${JSON.stringify(text)} is no duration such as 30s`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(h|m|s)/g)) total += Number(amount) * units[unit!]!;
  return total;
}

/** The pods of each period, by rising priority: a pod belongs to the last period that is not above it (groupByPriority). */
export function groupsOf(periods: readonly Period[], pods: readonly Pod[]): { period: Period; pods: Pod[] }[] {
  const groups = periods.map((period) => ({ period, pods: [] as Pod[] }));
  for (const pod of pods) {
    const priority = pod.spec?.priority ?? 0;
    const group = groups.findLast(({ period }) => period.priority <= priority) ?? groups[0];
    group?.pods.push(pod);
  }
  return groups;
}
