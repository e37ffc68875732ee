import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { AgentRelays } from "./relays.ts";

interface Sent {
  relay: string;
  frame: { a: number; r?: string };
}

function open() {
  const clock = handClock();
  const sent: Sent[] = [];
  const served: { stream: Duplex; path: string }[] = [];
  const relays = new AgentRelays({ clock, log: silentLog, send: (message) => sent.push(message as Sent) });
  const serve = () => relays.serve((stream, path) => served.push({ stream, path }));
  return { clock, sent, served, relays, serve };
}

const hello = { n: 0, d: Buffer.from("hello").toString("base64"), e: 1, a: 0, l: 8 };
const path = "/exec/default/one/main";

test("opens a relay once, for the path that the link names", async () => {
  const { sent, served, relays, serve, clock } = open();
  serve();
  expect(relays.busy).toBe(false);
  for (let times = 0; times < 3; times++) relays.receive({ relay: "r1", path, frame: hello });
  relays.receive({ relay: "r1", path: "/exec/kube-system/other/main", frame: hello });
  expect(served.map((one) => one.path)).toEqual([path]);
  const { stream } = served[0]!;
  expect(await text(stream)).toBe("hello");
  stream.end();
  clock.move(1000);
  expect(sent.at(-1)?.frame).toMatchObject({ a: 1, e: 1 });
  relays.receive({ relay: "r1", frame: { a: 1, l: 8 } });
  clock.move(3000);
  expect(relays.busy).toBe(false);
  relays.receive({ relay: "r1", path, frame: hello });
  expect(served).toHaveLength(1);
  // A sender that missed the last acknowledgement gets it again.
  expect(sent.at(-1)?.frame).toMatchObject({ a: 1 });
});

test("does not open a relay again after it has failed", () => {
  const { sent, served, relays, serve } = open();
  serve();
  relays.receive({ relay: "r1", path, frame: hello });
  served[0]!.stream.on("error", () => {});
  relays.receive({ relay: "r1", frame: { a: 0, l: 0, r: "the client has gone" } });
  expect(served[0]!.stream.destroyed).toBe(true);
  const count = sent.length;
  relays.receive({ relay: "r1", path, frame: hello });
  expect([served.length, sent.length]).toEqual([1, count]);
});

test("resets unknown relays and does not answer a reset", () => {
  const { sent, relays, serve } = open();
  relays.receive({ relay: "r0", path, frame: hello });
  expect(sent).toEqual([]);
  serve();
  relays.receive({ relay: "r1", frame: hello });
  expect(sent).toMatchObject([{ relay: "r1", frame: { r: "the agent knows nothing of this connection" } }]);
  relays.receive({ relay: "r2", frame: { a: 0, l: 0, r: "over" } });
  expect(sent).toHaveLength(1);
});

test("refuses relays above the limit", () => {
  const { served, sent, relays, serve } = open();
  serve();
  for (let number = 0; number < 205; number++) relays.receive({ relay: `r${number}`, path, frame: hello });
  expect(served).toHaveLength(200);
  expect(sent.filter(({ frame }) => frame.r?.startsWith("the node serves 200"))).toHaveLength(5);
  for (const { stream } of served) stream.on("error", () => {});
  relays.stop();
  expect(relays.busy).toBe(false);
});
