import type { Pod } from "#api";
import { type Clock, type Log, messageOf, sleep } from "#base";
import type { Logind } from "./logind.ts";
import { groupsOf, type Period } from "./periods.ts";

export interface NodeShutdownOptions {
  periods: readonly Period[];
  logind: Logind;
  clock: Clock;
  log: Log;
  /** The pods that have not ended. */
  pods(): readonly Pod[];
  /** Ends a pod as Failed. Resolves once its containers have ended. */
  end(pod: Pod, how: { reason: string; message: string; graceSeconds: number; isDisruption: true }): Promise<void>;
  /** Records an event of the node. */
  record(message: string): void;
  /** Called when a shutdown begins or is cancelled: the node's status has changed. */
  changed(): void;
}

const retryMilliseconds = 10_000;
/** How often and how long a raised delay is waited for. */
const delayTries = { count: 6, milliseconds: 500 };

const ended = {
  reason: "Terminated",
  message: "Pod was terminated in response to imminent node shutdown.",
};

/** Holds up a shutdown of the machine until its pods have ended (upstream's nodeshutdown manager). */
export class NodeShutdown {
  readonly #options: NodeShutdownOptions;
  #isShuttingDown = false;

  constructor(options: NodeShutdownOptions) {
    this.#options = options;
  }

  get isShuttingDown(): boolean {
    return this.#isShuttingDown;
  }

  /** Why a new pod is rejected; undefined when it is not. */
  rejection(): { reason: string; message: string } | undefined {
    if (!this.#isShuttingDown) return undefined;
    return { reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down." };
  }

  /** Waits for shutdowns until the signal aborts. A machine without logind is reported once. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let isReported = false;
    while (!signal.aborted) {
      try {
        await this.#follow(signal, () => {
          isReported = false;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (!isReported) log.warn("shutdowns of the machine cannot be delayed", { error: messageOf(error) });
        isReported = true;
      }
      await sleep(clock, retryMilliseconds, signal);
    }
  }

  async #follow(signal: AbortSignal, following: () => void): Promise<void> {
    const { logind, log, record, changed } = this.#options;
    await this.#allowDelay(signal);
    let release = await logind.lock();
    following();
    try {
      for await (const begins of logind.shutdowns(signal)) {
        this.#isShuttingDown = begins;
        log.info(begins ? "the machine shuts down" : "the shutdown of the machine was cancelled");
        record(`Shutdown manager detected shutdown ${begins ? "event" : "cancellation"}`);
        changed();
        if (begins) await this.#endPods(signal);
        release();
        if (!begins) release = await logind.lock();
      }
    } finally {
      release();
    }
  }

  /** logind cuts a delay at a limit of its own. */
  async #allowDelay(signal: AbortSignal): Promise<void> {
    const { logind, clock, periods } = this.#options;
    const needed = periods.reduce((sum, { seconds }) => sum + seconds, 0);
    if ((await logind.delaySeconds()) >= needed) return;
    await logind.setDelay(needed);
    for (let tries = 0; tries < delayTries.count; tries++) {
      if ((await logind.delaySeconds()) >= needed) return;
      await sleep(clock, delayTries.milliseconds, signal);
    }
    throw new Error(`logind's InhibitDelayMaxSec is less than the ${needed} s that pods have to end`);
  }

  /** One group of priorities after the other; a group has its period, and no longer. */
  async #endPods(signal: AbortSignal): Promise<void> {
    const { periods, pods, end, clock, log } = this.#options;
    for (const group of groupsOf(periods, pods())) {
      if (signal.aborted) return;
      if (group.pods.length === 0) continue;
      const ending = group.pods.map(async (pod) => {
        const own = Number(pod.spec?.terminationGracePeriodSeconds ?? 30);
        const graceSeconds = Math.min(own, group.period.seconds);
        await end(pod, { ...ended, graceSeconds, isDisruption: true }).catch((error: unknown) => {
          log.warn("a pod could not be ended for the shutdown", { pod: pod.metadata.name, error: messageOf(error) });
        });
      });
      const over = new AbortController();
      const limit = sleep(clock, group.period.seconds * 1000, AbortSignal.any([signal, over.signal]));
      await Promise.race([Promise.all(ending), limit]);
      over.abort();
    }
  }
}
