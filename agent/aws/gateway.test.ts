import { expect, test } from "vitest";
import type { Secret } from "#api";
import { ApiError, type Log, notFound, silentLog, systemRandom } from "#base";
import type { Client } from "#client";
import { handClock } from "#test/make";
import { followGateway, type GatewayAddress } from "./gateway.ts";
import { HintBoard, type Watch } from "./hints.ts";

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};
const encode = (text: string): string => Buffer.from(text).toString("base64");
const at = (server: string, ca = "its authority"): Secret => ({
  metadata: { namespace: "kube-system", name: "skiff-gateway-link" },
  data: { server: encode(server), "ca.crt": encode(ca) },
});
const missing = notFound({ group: "", resource: "secrets" }, "skiff-gateway-link");
const forbidden = new ApiError(403, "Forbidden", "not yet");
const type = "core/secrets";
const [here, there] = [at("https://10.0.1.5:6443"), at("https://10.0.2.6:6443")];

/** A follower of a server that returns `state.answer`. */
function follow(state: { answer: Secret | Error }) {
  const clock = handClock();
  const board = new HintBoard(clock, () => {});
  const found: (GatewayAddress | undefined)[] = [];
  const messages: string[] = [];
  let reads = 0;
  const get = async (): Promise<unknown> => {
    reads++;
    if (state.answer instanceof Error) throw state.answer;
    return state.answer;
  };
  const record = (message: string) => messages.push(message);
  const log: Log = { ...silentLog, info: record, warn: record, error: record };
  const following = followGateway({
    client: { get } as unknown as Client,
    hints: { connected: true, follow: (watch: Watch) => board.follow(watch) },
    random: { ...systemRandom, fraction: () => 0.5 },
    found: (address) => found.push(address),
    ...{ clock, log },
  });
  const pass = async (milliseconds: number): Promise<void> => {
    await turns();
    clock.move(milliseconds);
    await turns();
  };
  return { board, found, messages, following, pass, reads: () => reads };
}

test("reads the address at the start and after each hint, and reports it when it changes", async () => {
  const state = { answer: here as Secret | Error };
  const { board, found, following, pass, reads } = follow(state);
  await pass(0);
  expect(found).toEqual([{ server: "https://10.0.1.5:6443", ca: "its authority" }]);
  expect(board.watches()).toEqual([{ type, namespace: "kube-system" }]);
  // Another Secret of the namespace has changed.
  board.hint(type, 7);
  await pass(0);
  expect([reads(), found.length]).toEqual([2, 1]);
  await pass(60_000);
  expect(reads()).toBe(2);
  state.answer = there;
  board.hint(type, 8);
  await pass(0);
  expect(found[1]).toEqual({ server: "https://10.0.2.6:6443", ca: "its authority" });
  state.answer = missing;
  board.hint(type, 9);
  await pass(0);
  expect(found.length).toBe(3);
  expect(found[2]).toBeUndefined();
  await following.stop();
  expect(board.watches()).toEqual([]);
});

test("reads rarely and logs nothing while there is no gateway", async () => {
  const { found, messages, following, pass, reads } = follow({ answer: missing });
  await pass(0);
  // A day.
  for (let minute = 0; minute < 24 * 60; minute++) await pass(60_000);
  expect(reads()).toBeLessThan(25);
  expect([found, messages]).toEqual([[], []]);
  await following.stop();
}, 120_000);

test("repeats a forbidden read a few times", async () => {
  const state = { answer: forbidden as Secret | Error };
  const { board, found, messages, following, pass, reads } = follow(state);
  for (const pause of [0, 1000, 2000, 4000, 8000]) await pass(pause);
  expect(reads()).toBe(5);
  await pass(60_000);
  expect(reads()).toBe(5);
  board.hint(type, 3);
  await pass(0);
  expect(reads()).toBe(6);
  state.answer = here;
  await pass(1000);
  expect([reads(), found.length, messages]).toEqual([7, 1, []]);
  await following.stop();
});

test("repeats a failed read with a growing backoff and reports no change", async () => {
  const state = { answer: here as Secret | Error };
  const { board, found, messages, following, pass, reads } = follow(state);
  await pass(0);
  state.answer = new Error("the network is down");
  board.hint(type, 3);
  for (const pause of [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000])
    await pass(pause);
  expect([reads(), found.length, messages]).toEqual([13, 1, []]);
  state.answer = there;
  await pass(300_000);
  expect(found.map((address) => address?.server)).toEqual(["https://10.0.1.5:6443", "https://10.0.2.6:6443"]);
  await following.stop();
});

test("ignores an address without https or without a CA", async () => {
  for (const answer of [at("https://10.0.1.5:6443", ""), at("http://10.0.1.5:6443"), { metadata: {} }]) {
    const { found, following, pass } = follow({ answer });
    await pass(0);
    expect(found).toEqual([]);
    await following.stop();
  }
});
