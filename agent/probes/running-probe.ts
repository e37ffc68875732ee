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
  /** Called with an unexpected error of a check or of a callback; the probe continues. */
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

/**
 * Checks a container once a period after its initial delay. The result changes after `failureThreshold` failures or
 * `successThreshold` successes in a row; a check that could not be run counts for neither. A startup probe ends when it
 * has succeeded, a liveness or startup probe when it has failed.
 */
export class RunningProbe {
  readonly #options: ProbeOptions;
  readonly #periodMilliseconds: number;
  /** When the first check is due, in milliseconds since the epoch. */
  readonly #due: number;
  #result: boolean | undefined;
  #last: boolean | undefined;
  /** Checks in a row with the last outcome. */
  #inRow = 0;
  #stopped = false;
  #checking = false;
  #timer: Timer | undefined;

  constructor(options: ProbeOptions) {
    const { type, probe, startedAt, initial, random } = options;
    this.#options = options;
    this.#periodMilliseconds = (probe.periodSeconds || 10) * 1000;
    this.#due = startedAt + (probe.initialDelaySeconds ?? 0) * 1000;
    this.#result = initial ?? (type === "Liveness" ? true : type === "Readiness" ? false : undefined);
    // Containers that already run when the agent starts are not all checked at the same time.
    const spread = initial === undefined ? 0 : random.fraction() * this.#periodMilliseconds;
    this.#schedule(this.#untilDue() + spread);
  }

  /** Undefined until a startup probe has a result. */
  get result(): boolean | undefined {
    return this.#result;
  }

  /** Runs the next check now instead of at the next period. */
  checkNow(): void {
    if (!this.#checking) this.#schedule(this.#untilDue());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #untilDue(): number {
    return Math.max(this.#due - this.#options.clock.now(), 0);
  }

  #schedule(milliseconds: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.timer(milliseconds, () => {
      this.#checking = true;
      void this.#check()
        .catch((error: unknown) => this.#options.crashed(error))
        .finally(() => {
          this.#checking = false;
          this.#schedule(this.#periodMilliseconds);
        });
    });
  }

  async #check(): Promise<void> {
    const { type, probe, clock } = this.#options;
    if (clock.now() < this.#due || !this.#options.active()) return;
    const checked = await checkWithRetries(this.#options, probe.timeoutSeconds || 1);
    if (this.#stopped) return;
    if (checked.outcome !== "success") this.#options.reported(checked);
    // Nothing is known of the container: the check does not count.
    if (checked.outcome === "unknown") return;
    const ok = checked.outcome !== "failure";
    this.#inRow = this.#last === ok ? this.#inRow + 1 : 1;
    this.#last = ok;
    const threshold = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (this.#inRow < threshold || this.#result === ok) return;
    this.#result = ok;
    if (type !== "Readiness" && (!ok || type === "Startup")) this.stop();
    this.#options.changed(ok);
  }
}
