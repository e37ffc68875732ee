import { type Clock, deferred, type Log, messageOf, sleep } from "#base";
import type { CriItems } from "./pods.ts";

interface Source {
  clock: Clock;
  log: Log;
  items(): Promise<CriItems>;
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
export async function* criChanges(source: Source, signal: AbortSignal): AsyncGenerator<string> {
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
      const items = await source.items();
      took = source.clock.now() - started;
      const now = signatures(items);
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

function signatures({ sandboxes, containers }: CriItems): Map<string, string> {
  const uids = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox.metadata.uid]));
  const parts = new Map<string, string[]>();
  const note = (uid: string | undefined, part: string): void => {
    if (uid === undefined) return;
    const known = parts.get(uid);
    if (known) known.push(part);
    else parts.set(uid, [part]);
  };
  for (const sandbox of sandboxes) note(sandbox.metadata.uid, `${sandbox.id} ${sandbox.state}`);
  for (const container of containers) note(uids.get(container.pod_sandbox_id), `${container.id} ${container.state}`);
  return new Map([...parts].map(([uid, states]) => [uid, states.sort().join("\n")]));
}
