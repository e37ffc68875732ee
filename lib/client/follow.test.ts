import { describe, expect, it } from "vitest";
import { type ConfigMap, configMaps as kind } from "#api";
import { expired, silentLog, systemClock } from "#base";
import { handClock } from "#test/make";
import { type Followed, followKind } from "./follow.ts";
import { startInformer } from "./informer.ts";
import type { Client, WatchEvent } from "./port.ts";

type Event = WatchEvent<ConfigMap>;
type Step = Event | Error;

const at = (name: string, revision: number, uid = `uid-${name}`): ConfigMap => ({
  metadata: { namespace: "default", name, uid, resourceVersion: String(revision) },
});
const added = (name: string, revision: number, uid?: string): Event => ({
  type: "ADDED",
  object: at(name, revision, uid),
});
const whole = (revision: number): Event => ({ type: "BOOKMARK", revision: String(revision), initial: true });

/** A client whose watches are scripts, played one after the other; the watch after the last one never ends. */
function scripted(...scripts: Step[][]) {
  const asked: (string | undefined)[] = [];
  const watch = async function* (_kind: unknown, { revision, signal }: { revision?: string; signal: AbortSignal }) {
    asked.push(revision);
    const script = scripts[asked.length - 1];
    for (const step of script ?? []) {
      if (step instanceof Error) throw step;
      yield step;
    }
    if (!script) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  };
  return { asked, client: { watch } as unknown as Client };
}

/** Follows until the end of the script; the clock is moved over every pause. */
async function play(scripts: Step[][], changed?: (event: Followed<ConfigMap>) => void) {
  const { asked, client } = scripted(...scripts);
  const clock = handClock();
  const stop = new AbortController();
  const told: string[] = [];
  let wholes = 0;
  const done = followKind<ConfigMap>({
    client,
    kind,
    clock,
    log: silentLog,
    signal: stop.signal,
    whole: () => wholes++,
    changed: (event) => {
      changed?.(event);
      told.push(`${event.type} ${event.object.metadata.name} ${event.object.metadata.uid}`);
    },
  });
  while (asked.length <= scripts.length) {
    await new Promise((resolve) => systemClock.timer(1, () => resolve(undefined)));
    clock.move(30_000);
  }
  stop.abort();
  await done;
  return { asked, told, wholes };
}

describe("following a kind", () => {
  it("continues after the last change when a watch fails", async () => {
    const { asked, told } = await play([
      [added("a", 1), whole(3), added("b", 5), new Error("the connection is gone")],
      [{ type: "DELETED", object: at("a", 6) }],
    ]);
    expect(asked).toEqual([undefined, "5", "6"]);
    expect(told).toEqual(["ADDED a uid-a", "ADDED b uid-b", "DELETED a uid-a"]);
  });

  it("delivers objects that were deleted in a gap as DELETED when it lists again", async () => {
    const { asked, told, wholes } = await play([
      [added("a", 1), added("b", 2), whole(3), expired("too old resource version")],
      [added("b", 2), whole(9)],
    ]);
    expect(asked).toEqual([undefined, undefined, "9"]);
    expect(told).toEqual(["ADDED a uid-a", "ADDED b uid-b", "ADDED b uid-b", "DELETED a uid-a"]);
    expect(wholes).toBe(2);
  });

  it("delivers the deletion of an object that was replaced in a gap", async () => {
    const { told } = await play([
      [added("a", 1), whole(3), expired("too old resource version")],
      [added("a", 8, "other"), whole(9)],
    ]);
    expect(told).toEqual(["ADDED a uid-a", "DELETED a uid-a", "ADDED a other"]);
  });

  it("delivers a change again when its handler has failed", async () => {
    let failures = 2;
    const script: Step[] = [added("a", 1), whole(3), added("b", 5)];
    const { asked, told } = await play([script, [added("b", 5)], [added("b", 5), added("c", 6)]], ({ object }) => {
      if (object.metadata.name === "b" && failures-- > 0) throw new Error("not now");
    });
    expect(asked).toEqual([undefined, "3", "3", "6"]);
    expect(told).toEqual(["ADDED a uid-a", "ADDED b uid-b", "ADDED c uid-c"]);
  });
});

describe("an informer", () => {
  it("delivers differences only, also over a gap", async () => {
    const { asked, client } = scripted(
      [added("a", 1), added("b", 2), whole(3), expired("too old resource version")],
      [added("b", 2), added("c", 7), whole(9)],
    );
    const told: string[] = [];
    const changed = ({ type, object }: { type: string; object: ConfigMap }) =>
      told.push(`${type} ${object.metadata.name}`);
    const informer = startInformer<ConfigMap>({ client, kind, clock: handClock(), log: silentLog, changed });
    await informer.ready;
    while (asked.length < 3) await new Promise((resolve) => systemClock.timer(1, () => resolve(undefined)));
    expect(told).toEqual(["ADDED a", "ADDED b", "ADDED c", "DELETED a"]);
    expect([...informer.all()].map(({ metadata }) => metadata.name)).toEqual(["b", "c"]);
    expect(informer.get({ namespace: "default", name: "a" })).toBeUndefined();
    await informer.stop();
  });
});
