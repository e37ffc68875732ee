import type { Probe } from "#api";
import type { Clock, Random, Timer } from "#base";
import type { CheckResult } from "./result.ts";

export type ProbeType = "Startup" | "Liveness" | "Readiness";

export interface ProbeOptions {
  type: ProbeType;
  probe: Probe;
  /** When the container started, in milliseconds: the initial delay counts from there. */
  startedAt: number;
  /** What the probe has come to before: for a container that was found running. */
  initial: boolean | undefined;
  clock: Clock;
  random: Random;
  /** One check. */
  check(timeoutSeconds: number): Promise<CheckResult>;
  /** False holds the probe back, as while the startup probe has not succeeded. */
  active(): boolean;
  /** Every single check that was no plain success. */
  reported(result: CheckResult): void;
  /** A fault in a check or in what it leads to; the probe goes on. */
  crashed(error: unknown): void;
  /** The result has changed: a threshold was reached. */
  changed(result: boolean): void;
}

/** A check that cannot be made is tried so often before that counts (upstream's maxProbeRetries). */
const tries = 3;

async function tried({ check }: ProbeOptions, timeoutSeconds: number): Promise<CheckResult> {
  let checked = await check(timeoutSeconds);
  for (let again = 1; again < tries && checked.outcome === "unknown"; again++) checked = await check(timeoutSeconds);
  return checked;
}

export interface RunningProbe {
  /** Undefined until a startup probe has come to something. */
  readonly result: boolean | undefined;
  /** Looks again soon instead of at the next period. */
  soon(): void;
  stop(): void;
}

/**
 * Checks a container again and again: after its initial delay each period, for `failureThreshold` failures or
 * `successThreshold` successes in a row. A check that could not be made counts for neither. A startup probe ends with
 * its first success, a liveness or startup probe with its failure.
 */
export function runProbe(options: ProbeOptions): RunningProbe {
  const { type, probe, clock } = options;
  const period = (probe.periodSeconds || 10) * 1000;
  const timeout = probe.timeoutSeconds || 1;
  const due = options.startedAt + (probe.initialDelaySeconds ?? 0) * 1000;
  let result = options.initial ?? (type === "Liveness" ? true : type === "Readiness" ? false : undefined);
  let last: boolean | undefined;
  let inRow = 0;
  let stopped = false;
  let timer: Timer | undefined;
  let checking = false;

  const round = async (): Promise<void> => {
    if (clock.now() < due || !options.active()) return;
    const checked = await tried(options, timeout);
    if (stopped) return;
    if (checked.outcome !== "success") options.reported(checked);
    // It says nothing of the container: as if it had not been made.
    if (checked.outcome === "unknown") return;
    const ok = checked.outcome !== "failure";
    inRow = last === ok ? inRow + 1 : 1;
    last = ok;
    const threshold = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (inRow < threshold || result === ok) return;
    result = ok;
    if (type !== "Readiness" && (!ok || type === "Startup")) stop();
    options.changed(ok);
  };
  const next = (milliseconds: number): void => {
    if (stopped) return;
    timer?.cancel();
    timer = clock.timer(milliseconds, () => {
      checking = true;
      void round()
        .catch((error: unknown) => options.crashed(error))
        .finally(() => {
          checking = false;
          next(period);
        });
    });
  };
  const stop = (): void => {
    stopped = true;
    timer?.cancel();
  };
  // Containers that were found running at the agent's start are not all checked at the same moment.
  const spread = options.initial === undefined ? 0 : options.random.fraction() * period;
  next(Math.max(due - clock.now(), 0) + spread);
  return {
    get result() {
      return result;
    },
    soon: () => {
      if (!checking) next(Math.max(due - clock.now(), 0));
    },
    stop,
  };
}
