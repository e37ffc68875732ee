import { type Clock, deferred, type Log, messageOf, sleep } from "#base";
import type { CriItems } from "./pods.ts";

interface Source {
  clock: Clock;
  log: Log;
  items(): Promise<CriItems>;
  /** Something happened in the runtime; ends or throws where it cannot tell. */
  events(signal: AbortSignal): AsyncIterable<unknown>;
}

/** Upstream relists each second; with the runtime's events that is only the safety net. */
const relistMilliseconds = 1000;
const relistWithEventsMilliseconds = 10_000;
/**
 * Looks after an event: events come in bursts, and CRI shows a change a little later than containerd tells of it.
 */
const looksMilliseconds = [20, 200, 1000];

/** Uids of pods whose sandboxes or containers are not what they were at the last look. */
export async function* criChanges(source: Source, signal: AbortSignal): AsyncGenerator<string> {
  let before = new Map<string, string>();
  let happened = deferred<void>();
  let listening = false;
  let look = looksMilliseconds.length;
  const listen = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const _event of source.events(signal)) {
          listening = true;
          happened.resolve();
        }
      } catch (error) {
        source.log.debug("runtime events are not to be had; relisting instead", { error: messageOf(error) });
      }
      listening = false;
      await sleep(source.clock, relistWithEventsMilliseconds, signal);
    }
  };
  void listen();
  while (!signal.aborted) {
    happened = deferred<void>();
    try {
      const now = signatures(await source.items());
      for (const [uid, signature] of now) if (before.get(uid) !== signature) yield uid;
      for (const uid of before.keys()) if (!now.has(uid)) yield uid;
      before = now;
    } catch (error) {
      if (!signal.aborted) source.log.warn("the runtime could not be listed", { error: messageOf(error) });
    }
    const patient = listening ? relistWithEventsMilliseconds : relistMilliseconds;
    const waiting = new AbortController();
    const pause = sleep(source.clock, looksMilliseconds[look++] ?? patient, AbortSignal.any([signal, waiting.signal]));
    const event = await Promise.race([pause.then(() => false), happened.promise.then(() => true)]);
    waiting.abort();
    if (!event || signal.aborted) continue;
    look = 1;
    await sleep(source.clock, looksMilliseconds[0]!, signal);
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
