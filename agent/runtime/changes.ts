import { type Clock, deferred, type Log, messageOf, sleep } from "#base";

export interface ChangeSource {
  clock: Clock;
  log: Log;
  /** What is listed of each pod, by its uid: a text that changes with any of its states. */
  states(): Promise<Map<string, string>>;
  /** Events of the runtime; ends or throws when they are not available. */
  events(signal: AbortSignal): AsyncIterable<unknown>;
}

/** Upstream relists every second; with the runtime's events relisting is only a fallback. */
const relistMilliseconds = 1000;
const relistWithEventsMilliseconds = 10_000;
/**
 * Pauses before the lists after an event: events arrive in bursts, and CRI lists a change slightly later than
 * containerd's event.
 */
const relistAfterEventMilliseconds = [20, 200, 1000];
/** While many containers start, events never cease: at most a tenth of the time goes to lists. */
const pausePerListTime = 9;

/** Uids of pods whose sandboxes or containers have changed since the last list. */
export async function* relistChanges(source: ChangeSource, signal: AbortSignal): AsyncGenerator<string> {
  let before = new Map<string, string>();
  let happened = deferred<void>();
  let listening = false;
  let pauses = relistAfterEventMilliseconds.length;
  const listen = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const _event of source.events(signal)) {
          listening = true;
          happened.resolve();
        }
      } catch (error) {
        source.log.debug("runtime events are not available; relisting instead", { error: messageOf(error) });
      }
      listening = false;
      await sleep(source.clock, relistWithEventsMilliseconds, signal);
    }
  };
  void listen();
  while (!signal.aborted) {
    happened = deferred<void>();
    const started = source.clock.now();
    let took = 0;
    try {
      const now = await source.states();
      took = source.clock.now() - started;
      for (const [uid, signature] of now) if (before.get(uid) !== signature) yield uid;
      for (const uid of before.keys()) if (!now.has(uid)) yield uid;
      before = now;
    } catch (error) {
      if (!signal.aborted) source.log.warn("the runtime could not be listed", { error: messageOf(error) });
    }
    const relist = listening ? relistWithEventsMilliseconds : relistMilliseconds;
    const waiting = new AbortController();
    const pause = sleep(
      source.clock,
      relistAfterEventMilliseconds[pauses++] ?? relist,
      AbortSignal.any([signal, waiting.signal]),
    );
    const event = await Promise.race([pause.then(() => false), happened.promise.then(() => true)]);
    waiting.abort();
    if (!event || signal.aborted) continue;
    pauses = 1;
    const shortest = relistAfterEventMilliseconds[0]!;
    await sleep(source.clock, Math.min(Math.max(shortest, took * pausePerListTime), relistMilliseconds), signal);
  }
}
