import { expect, test } from "vitest";
import type { Secret } from "#api";
import { ApiError, type Log, notFound, silentLog, systemRandom } from "#base";
import type { Client } from "#client";
import { handClock } from "#test/make";
import { followGateway, type GatewayPlace } from "./gateway.ts";
import { hintBoard } from "./hints.ts";

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};
const encode = (text: string): string => Buffer.from(text).toString("base64");
const at = (server: string, ca = "its authority"): Secret => ({
  metadata: { namespace: "kube-system", name: "skiff-gateway-link" },
  data: { server: encode(server), "ca.crt": encode(ca) },
});
const gone = notFound({ group: "", resource: "secrets" }, "skiff-gateway-link");
const forbidden = new ApiError(403, "Forbidden", "not yet");
const type = "core/secrets";
const [here, there] = [at("https://10.0.1.5:6443"), at("https://10.0.2.6:6443")];

/** A follower before a server that answers as `state` says. */
function follow(state: { answer: Secret | Error }) {
  const clock = handClock();
  const board = hintBoard(clock, () => {});
  const found: (GatewayPlace | undefined)[] = [];
  const noise: string[] = [];
  let looks = 0;
  const get = async (): Promise<unknown> => {
    looks++;
    if (state.answer instanceof Error) throw state.answer;
    return state.answer;
  };
  const note = (message: string) => noise.push(message);
  const log: Log = { ...silentLog, info: note, warn: note, error: note };
  const following = followGateway({
    client: { get } as unknown as Client,
    hints: { connected: true, follow: board.follow },
    random: { ...systemRandom, fraction: () => 0.5 },
    found: (place) => found.push(place),
    ...{ clock, log },
  });
  const pass = async (milliseconds: number): Promise<void> => {
    await turns();
    clock.move(milliseconds);
    await turns();
  };
  return { board, found, noise, following, pass, looks: () => looks };
}

test("where it is, is known at once and after each hint, and told when it is another place", async () => {
  const state = { answer: here as Secret | Error };
  const { board, found, following, pass, looks } = follow(state);
  await pass(0);
  expect(found).toEqual([{ server: "https://10.0.1.5:6443", ca: "its authority" }]);
  expect(board.watches()).toEqual([{ type, namespace: "kube-system" }]);
  // Something else has moved in that namespace.
  board.hear(type, 7);
  await pass(0);
  expect([looks(), found.length]).toEqual([2, 1]);
  await pass(60_000);
  expect(looks()).toBe(2);
  state.answer = there;
  board.hear(type, 8);
  await pass(0);
  expect(found[1]).toEqual({ server: "https://10.0.2.6:6443", ca: "its authority" });
  state.answer = gone;
  board.hear(type, 9);
  await pass(0);
  expect(found.length).toBe(3);
  expect(found[2]).toBeUndefined();
  await following.stop();
  expect(board.watches()).toEqual([]);
});

test("one that never comes costs next to nothing, and no word", async () => {
  const { found, noise, following, pass, looks } = follow({ answer: gone });
  await pass(0);
  // A day.
  for (let minute = 0; minute < 24 * 60; minute++) await pass(60_000);
  expect(looks()).toBeLessThan(25);
  expect([found, noise]).toEqual([[], []]);
  await following.stop();
}, 120_000);

test("the right to look may come late: it is tried a few times, and no more", async () => {
  const state = { answer: forbidden as Secret | Error };
  const { board, found, noise, following, pass, looks } = follow(state);
  for (const pause of [0, 1000, 2000, 4000, 8000]) await pass(pause);
  expect(looks()).toBe(5);
  await pass(60_000);
  expect(looks()).toBe(5);
  board.hear(type, 3);
  await pass(0);
  expect(looks()).toBe(6);
  state.answer = here;
  await pass(1000);
  expect([looks(), found.length, noise]).toEqual([7, 1, []]);
  await following.stop();
});

test("a look that fails changes nothing, and comes again, ever later", async () => {
  const state = { answer: here as Secret | Error };
  const { board, found, noise, following, pass, looks } = follow(state);
  await pass(0);
  state.answer = new Error("the network is down");
  board.hear(type, 3);
  for (const pause of [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000])
    await pass(pause);
  expect([looks(), found.length, noise]).toEqual([13, 1, []]);
  state.answer = there;
  await pass(300_000);
  expect(found.map((place) => place?.server)).toEqual(["https://10.0.1.5:6443", "https://10.0.2.6:6443"]);
  await following.stop();
});

test("what cannot be checked is no place", async () => {
  for (const answer of [at("https://10.0.1.5:6443", ""), at("http://10.0.1.5:6443"), { metadata: {} }]) {
    const { found, following, pass } = follow({ answer });
    await pass(0);
    expect(found).toEqual([]);
    await following.stop();
  }
});
