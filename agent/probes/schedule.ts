import type { Probe } from "#api";
import type { Clock, Random, Timer } from "#base";
import type { CheckResult } from "./result.ts";

export type ProbeType = "Startup" | "Liveness" | "Readiness";

export interface ProbeOptions {
  type: ProbeType;
  probe: Probe;
  /** When the container started, in milliseconds since the epoch: the start of the initial delay. */
  startedAt: number;
  /** The earlier result, for a container that an earlier agent started. */
  initial: boolean | undefined;
  clock: Clock;
  random: Random;
  /** Runs one check. */
  check(timeoutSeconds: number): Promise<CheckResult>;
  /** False suspends the probe, as while the startup probe has not succeeded. */
  active(): boolean;
  /** Called after each check whose outcome is not `success`. */
  reported(result: CheckResult): void;
  /** Called with an unexpected error of a check or of a callback; the probe goes on. */
  crashed(error: unknown): void;
  /** Called when the result has changed: a threshold was reached. */
  changed(result: boolean): void;
}

/** How often a check that cannot be run is tried (upstream's maxProbeRetries). */
const maxTries = 3;

async function checkWithRetries({ check }: ProbeOptions, timeoutSeconds: number): Promise<CheckResult> {
  let checked = await check(timeoutSeconds);
  for (let tries = 1; tries < maxTries && checked.outcome === "unknown"; tries++) checked = await check(timeoutSeconds);
  return checked;
}

export interface RunningProbe {
  /** Undefined until a startup probe has a result. */
  readonly result: boolean | undefined;
  /** Runs the next check now instead of at the next period. */
  checkNow(): void;
  stop(): void;
}

/**
 * Checks a container once a period after its initial delay. The result changes after `failureThreshold` failures or
 * `successThreshold` successes in a row; a check that could not be run counts for neither. A startup probe ends when it
 * has succeeded, a liveness or startup probe when it has failed.
 */
export function runProbe(options: ProbeOptions): RunningProbe {
  const { type, probe, clock } = options;
  const periodMilliseconds = (probe.periodSeconds || 10) * 1000;
  const timeoutSeconds = probe.timeoutSeconds || 1;
  const due = options.startedAt + (probe.initialDelaySeconds ?? 0) * 1000;
  let result = options.initial ?? (type === "Liveness" ? true : type === "Readiness" ? false : undefined);
  let last: boolean | undefined;
  let inRow = 0;
  let stopped = false;
  let timer: Timer | undefined;
  let checking = false;

  const round = async (): Promise<void> => {
    if (clock.now() < due || !options.active()) return;
    const checked = await checkWithRetries(options, timeoutSeconds);
    if (stopped) return;
    if (checked.outcome !== "success") options.reported(checked);
    // Nothing is known of the container: the check does not count.
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
          next(periodMilliseconds);
        });
    });
  };
  const stop = (): void => {
    stopped = true;
    timer?.cancel();
  };
  // Containers that already run when the agent starts are not all checked at the same time.
  const spread = options.initial === undefined ? 0 : options.random.fraction() * periodMilliseconds;
  next(Math.max(due - clock.now(), 0) + spread);
  return {
    get result() {
      return result;
    },
    checkNow: () => {
      if (!checking) next(Math.max(due - clock.now(), 0));
    },
    stop,
  };
}
