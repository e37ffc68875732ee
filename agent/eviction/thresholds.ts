import { formatQuantity, parseQuantity, quantityValue } from "#api";

/** What of the node is watched, by the kubelet's names. */
export const signals = [
  "memory.available",
  "nodefs.available",
  "nodefs.inodesFree",
  "imagefs.available",
  "imagefs.inodesFree",
  "pid.available",
] as const;
export type Signal = (typeof signals)[number];

/** A condition of the node that is bad when it is true. */
export type Pressure = "MemoryPressure" | "DiskPressure" | "PIDPressure";

export const pressureOf = (signal: Signal): Pressure => {
  if (signal === "memory.available") return "MemoryPressure";
  return signal === "pid.available" ? "PIDPressure" : "DiskPressure";
};

/** The resource that is short, as messages name it. */
export const resourceOf = (signal: Signal): string => {
  if (signal === "memory.available") return "memory";
  if (signal === "pid.available") return "pids";
  return signal.endsWith("inodesFree") ? "inodes" : "ephemeral-storage";
};

/** A signal below this value starts evictions: at once, or after `graceMilliseconds` where that is given. */
export interface Threshold {
  signal: Signal;
  /** Bytes, inodes or processes; or a share of what there is, from 0 to 1. */
  value: { amount: number } | { share: number };
  graceMilliseconds?: number;
}

/** What is there of a signal, and the most that there can be. */
export interface Observation {
  available: number;
  capacity: number;
}
export type Observations = Partial<Record<Signal, Observation>>;

/**
 * Hard thresholds without an option. The kubelet's leave 10 % of the node's and 15 % of the images' file system; a
 * machine that is also used for other work would rarely have them free.
 */
export const defaultThresholds =
  "memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%,imagefs.inodesFree<5%";

/**
 * Parses the kubelet's form `memory.available<100Mi,nodefs.available<10%`; "" has none. Throws an Error that names what
 * is wrong.
 */
export function parseThresholds(text: string): Threshold[] {
  const parts = text.split(",").filter((part) => part.trim() !== "");
  const found = parts.map((part) => parseThreshold(part.trim()));
  const twice = found.find(({ signal }, index) => found.findIndex((other) => other.signal === signal) !== index);
  if (twice) throw new Error(`${twice.signal} is given twice`);
  return found;
}

function parseThreshold(text: string): Threshold {
  const [, name = "", value = ""] = /^([^<]*)<(.*)$/.exec(text) ?? [];
  if (value === "") throw new Error(`${JSON.stringify(text)} is not of the form <signal><<quantity>`);
  const signal = signals.find((known) => known === name);
  if (!signal) throw new Error(`unknown signal ${JSON.stringify(name)}: it must be one of ${signals.join(", ")}`);
  if (value.endsWith("%")) {
    const percent = Number(value.slice(0, -1));
    if (value === "%" || !(percent >= 0 && percent <= 100))
      throw new Error(`${signal}: ${value} is not between 0% and 100%`);
    return { signal, value: { share: percent / 100 } };
  }
  let amount: number;
  try {
    parseQuantity(value);
    amount = Number(quantityValue(value));
  } catch {
    throw new Error(`${signal}: ${JSON.stringify(value)} is neither a quantity nor a percentage`);
  }
  if (amount <= 0) throw new Error(`${signal}: ${value} is not positive`);
  return { signal, value: { amount } };
}

/** Soft thresholds: each has its grace period, such as `memory.available=1m30s`. Throws an Error for a missing one. */
export function parseSoftThresholds(text: string, graces: string): Threshold[] {
  const periods = new Map<string, number>();
  for (const part of graces.split(",").filter((each) => each.trim() !== "")) {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/.exec(part.trim()) ?? [];
    const period = milliseconds(value);
    if (period === undefined) throw new Error(`${JSON.stringify(part)} is not of the form <signal>=<duration>`);
    periods.set(name, period);
  }
  return parseThresholds(text).map((threshold) => {
    const graceMilliseconds = periods.get(threshold.signal);
    if (graceMilliseconds === undefined) throw new Error(`${threshold.signal} has no grace period`);
    return { ...threshold, graceMilliseconds };
  });
}

const unitMilliseconds: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

function milliseconds(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(h|ms|m|s)/g))
    total += Number(amount) * unitMilliseconds[unit!]!;
  return total;
}

/** A threshold in the unit of the observation; 0 % and 100 % are none (parseThresholdStatement). */
export function amountOf({ value }: Threshold, { capacity }: Observation): number {
  if ("amount" in value) return value.amount;
  return value.share === 1 ? 0 : value.share * capacity;
}

/** The thresholds that the observations are below. */
export const met = (thresholds: readonly Threshold[], observed: Observations): Threshold[] =>
  thresholds.filter((threshold) => {
    const observation = observed[threshold.signal];
    return observation !== undefined && observation.available < amountOf(threshold, observation);
  });

/** Bytes as messages show them; counts of other things are decimal numbers. */
export const amountText = (signal: Signal, amount: number): string => {
  const isCount = signal === "pid.available" || signal.endsWith("inodesFree");
  return formatQuantity({ mantissa: BigInt(Math.trunc(amount)), exponent: 0, format: isCount ? "decimal" : "binary" });
};
