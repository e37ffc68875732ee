import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { fakeRuntime } from "#agent/runtime/fake";
import { createAuthority, issue } from "#auth/certificates";
import { type Clock, silentLog, systemClock } from "#base";
import { createLinks } from "#hosts/https";
import { handClock } from "#test/make";
import { Link, type LinkOptions, MovingLink } from "./index.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const until = (condition: () => unknown) => expect.poll(condition, { timeout: 10_000, interval: 5 });

/** A server that accepts agents, or refuses them. */
async function host({ refuses = false } = {}) {
  const links = createLinks(silentLog, systemClock);
  const agents = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const authorizations: (string | undefined)[] = [];
  const server = createServer();
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head) => {
    authorizations.push(incoming.headers.authorization);
    socket.on("error", () => socket.destroy());
    if (refuses) return void socket.end("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n");
    agents.handleUpgrade(incoming, socket, head, (webSocket) => links.add(incoming.url!.slice(6), webSocket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    links.close();
    server.closeAllConnections();
    server.close();
  });
  const address = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: "" };
  const healthy = async (): Promise<number> => {
    const { status, body } = await links.request("node-1", { type: "healthz" }, new AbortController().signal);
    for await (const _ of body);
    return status;
  };
  /** Waits until the agent's link is up on both sides. */
  const arrived = async (): Promise<void> => {
    await until(() => links.has("node-1")).toBe(true);
    expect(await healthy()).toBe(200);
  };
  return { links, authorizations, address, healthy, arrived };
}

function agent(clock: Clock, more: Partial<LinkOptions> = {}) {
  const runtime = fakeRuntime({ clock: systemClock });
  let dials = 0;
  const headers = async () => ({ authorization: `Bearer ${++dials}` });
  const link = new MovingLink(
    ({ server }) =>
      new Link({ node: "node-1", runtime, find: () => undefined, log: silentLog, headers, server, clock, ...more }),
  );
  closing.push(() => link.stop());
  return link;
}

test("dials a server's new address; the link to the former one stays up as long as its server", async () => {
  const clock = handClock();
  const link = agent(clock);
  const [first, second] = [await host(), await host()];
  link.move(first.address);
  await first.arrived();
  link.move({ ...first.address });
  link.move(second.address);
  await second.arrived();
  expect([await first.healthy(), await second.healthy()]).toEqual([200, 200]);
  first.links.close();
  await until(() => first.links.has("node-1")).toBe(false);
  // The other is dialled again, with new headers.
  second.links.close();
  await until(() => second.links.has("node-1")).toBe(false);
  await until(() => {
    clock.move(1000);
    return second.links.has("node-1");
  }).toBe(true);
  expect([first.authorizations, second.authorizations]).toEqual([["Bearer 1"], ["Bearer 2", "Bearer 3"]]);
});

test("does not dial a removed server again, and keeps a link that is up", async () => {
  const clock = handClock();
  const link = agent(clock);
  const { links, authorizations, address, healthy, arrived } = await host();
  link.move(address);
  await arrived();
  link.move(undefined);
  expect(await healthy()).toBe(200);
  links.close();
  await until(() => links.has("node-1")).toBe(false);
  const other = await host();
  link.move(other.address);
  await until(() => {
    clock.move(60_000);
    return other.links.has("node-1");
  }).toBe(true);
  expect(authorizations.length).toBe(1);
});

test("stop ends the links to former addresses too", async () => {
  const link = agent(handClock());
  const [first, second] = [await host(), await host()];
  link.move(first.address);
  await first.arrived();
  link.move(second.address);
  await second.arrived();
  await link.stop();
  await until(() => [first.links.has("node-1"), second.links.has("node-1")]).toEqual([false, false]);
});

/** A clock whose timers fire at once and whose time does not change; records the length of each timer. */
function hurriedClock(waited: (milliseconds: number) => void): Clock {
  return {
    now: () => 0,
    timer(milliseconds, run) {
      waited(milliseconds);
      const soon = setImmediate(run);
      return { cancel: () => clearImmediate(soon) };
    },
  };
}

test.each([
  ["is refused", true, {}],
  ["has nothing to show", true, { headers: async () => Promise.reject(new Error("no credentials")) }],
  ["is let in and soon cut off", false, {}],
] as const)("who %s tries ever more rarely", async (_, refuses, more) => {
  const pauses: number[] = [];
  // Timers of pings fire at once too, so that each link is taken for broken.
  const clock = hurriedClock((milliseconds) => milliseconds !== 15_000 && pauses.push(milliseconds));
  const { address, authorizations } = await host({ refuses });
  const link = agent(clock, { longestBackoffMilliseconds: 60_000, ...more });
  link.move(address);
  await until(() => pauses.length).toBeGreaterThan(11);
  await link.stop();
  expect(pauses.slice(0, 11)).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
  expect(authorizations.length > 0).toBe(!("headers" in more));
});

test("sends no credentials to a server with a certificate of another CA", async () => {
  const now = Date.now();
  const [ours, theirs] = [await createAuthority(now), await createAuthority(now)];
  const named = { subject: { commonName: "kube-apiserver" }, days: 1, now };
  const started: string[] = [];
  let trouble = 0;
  const open = async (authority: typeof ours, names: string[]): Promise<string> => {
    const server = createSecureServer({ ...(await issue({ authority, names, ...named })) });
    server.on("upgrade", ({ headers }: IncomingMessage, socket: Duplex) => {
      started.push(headers.authorization ?? "");
      socket.on("error", () => socket.destroy());
      socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const failures = { ...silentLog, debug: () => trouble++ };
  const clock = handClock();
  const runtime = fakeRuntime({ clock: systemClock });
  const headers = async () => ({ authorization: "Bearer secret" });
  const linked = { node: "node-1", runtime, find: () => undefined, log: failures, headers, clock };
  const link = new MovingLink(({ server, ca }) => new Link({ ...linked, server, tls: { ca } }));
  closing.push(() => link.stop());
  for (const [authority, name] of [
    [theirs, "127.0.0.1"],
    [ours, "127.0.0.9"],
  ] as const) {
    const before = trouble;
    link.move({ server: await open(authority, [name]), ca: ours.cert });
    await until(() => trouble).toBe(before + 1);
  }
  expect(started).toEqual([]);
  link.move({ server: await open(ours, ["127.0.0.1"]), ca: ours.cert });
  await until(() => started).toEqual(["Bearer secret"]);
});
