import { once } from "node:events";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Pod, pods } from "#api";
import { requestSigner } from "#aws/request-signer";
import { systemClock } from "#base";
import { httpClient } from "#client";
import { relayStream } from "#relay";
import { instance, whoseInstance } from "./agents.ts";
import { builtOnce } from "./built-once.ts";
import { ann, bob, type Person, region, stranger, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * The link between clients and agents, message by message: who gets a ticket, who may connect with it, to whom frames
 * are passed, and what that costs.
 */

const ids = ["i-0ccccccccccccccc1", "i-0ccccccccccccccc2"] as const;
const [first, second] = [instance(ids[0]), instance(ids[1])];
const lines: string[] = [];
let stage: Stage;
let reads = 0;

beforeAll(async () => {
  const built = builtOnce();
  const whose = whoseInstance(built, [first, second]);
  stage = await openStage({
    built,
    whoIs: (key) => whoIs(key) ?? whose(key),
    consumed: (target, units) => {
      if (/Get|Query/.test(target)) reads += units;
    },
    output: (_, line) => lines.push(line),
    most: 4,
  });
  await stage.deploy();
  const client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  const place = (name: string, nodeName: string) =>
    client.create(pods, {
      metadata: { namespace: "default", name },
      spec: { nodeName, containers: [{ name: "main", image: "busybox" }] },
    } as Pod);
  await place("one", ids[0]);
  await place("two", ids[1]);
  await place("nowhere", "i-0ccccccccccccccc3");
  client.close();
});
afterAll(() => stage?.stop());

const signerOf = (person: Person) => requestSigner({ region, credentials: person });
const execPath = (pod: string) => `/api/v1/namespaces/default/pods/${pod}/exec?command=id&stdout=true`;
const asked = { "x-skiff-upgrade": "websocket" };

async function ask(path: string, headers: Record<string, string>, person?: Person) {
  const url = new URL(`${stage.url}${person ? "/iam" : ""}${path}`);
  const signed = person ? await signerOf(person)({ method: "GET", url, body: "" }) : {};
  return new Promise<{ status: number; body: { ticket: string; message: string } }>((done, reject) => {
    const sent = request(url, { headers: { ...headers, ...signed }, ca: stage.ca }, (answer) => {
      text(answer).then((body) => done({ status: answer.statusCode ?? 0, body: JSON.parse(body) }), reject);
    });
    sent.on("error", reject);
    sent.end();
  });
}

const ticketOf = async (pod: string, person = ann): Promise<string> => {
  const { status, body } = await ask(execPath(pod), asked, person);
  expect([status, body]).toEqual([201, { ticket: expect.stringMatching(/^[\w-]{43}$/) }]);
  return body.ticket;
};

interface Said {
  relay: string;
  path?: string;
  frame: Record<string, unknown>;
  message?: string;
}

/** A connection to the WebSocket API; rejects with its status when it is refused. */
async function dial(person: Person, headers: Record<string, string> = {}) {
  const signed = await signerOf(person)({ method: "GET", url: new URL(stage.dial), body: "" });
  const socket = new WebSocket(stage.dial, { headers: { ...headers, ...signed }, ca: stage.ca });
  const heard: Said[] = [];
  socket.on("message", (data) => heard.push(JSON.parse(String(data))));
  await once(socket, "open");
  const say = (message: object) => socket.send(JSON.stringify(message));
  const next = async (): Promise<Said> => {
    await expect.poll(() => heard.length, { timeout: 10_000, interval: 10 }).toBeGreaterThan(0);
    return heard.shift()!;
  };
  return { socket, heard, say, next };
}
const withTicket = (ticket: string) => ({ "x-skiff-ticket": ticket });
const frame = { a: 0, l: 8 };
/** The number of refusals of the link so far. */
const refusals = () => lines.filter((line) => /a frame was refused|a malformed message was refused/.test(line)).length;
const refused = (count: number) => expect.poll(refusals, { timeout: 20_000, interval: 20 }).toBe(count);

describe("a ticket", () => {
  test("is for signed and authorized requests about a pod with a connected agent", async () => {
    const bearer = { ...asked, authorization: `Bearer ${await tokenFor(ann, stage.clusterId)}` };
    expect((await ask(execPath("one"), bearer)).status).toBe(501);
    expect((await ask(execPath("one"), {}, ann)).status).toBe(501);
    expect((await ask(execPath("one"), asked, stranger)).status).toBe(403);
    expect((await ask(execPath("one"), asked, bob)).status).toBe(401);
    expect((await ask(execPath("none"), asked, ann)).status).toBe(404);
    expect(await ask(execPath("nowhere"), asked, ann)).toMatchObject({
      status: 503,
      body: { message: "the agent of node i-0ccccccccccccccc3 is not connected" },
    });
    expect((await ask("/link/anybody", asked, ann)).status).toBe(400);
    // A node may not run commands in its own pods.
    expect((await ask(execPath("one"), asked, first)).status).toBe(403);
  });

  test("is valid once, for its principal and its request", async () => {
    const agent = await dial(first);
    const ticket = await ticketOf("one");
    for (const [person, given] of [
      [bob, ticket],
      [first, ticket],
      [ann, "guess"],
      [ann, "x".repeat(5000)],
      [ann, ""],
      [ann, `${ticket.slice(0, -1)}!`],
    ] as const)
      await expect(dial(person, withTicket(given)), given).rejects.toThrow("403");
    const client = await dial(ann, withTicket(ticket));
    await expect(dial(ann, withTicket(ticket))).rejects.toThrow("403");
    client.say({ action: "relay", open: true, path: "/exec/kube-system/other/main", frame });
    const { relay, path, frame: got } = await agent.next();
    expect([path, got]).toEqual(["/exec/default/one/main?output=1&command=id", frame]);
    client.say({ action: "relay", frame });
    expect((await agent.next()).path).toBeUndefined();
    agent.say({ action: "relay", relay, frame: { a: 1, l: 9 } });
    expect(await client.next()).toEqual({ frame: { a: 1, l: 9 } });
    client.socket.close();
    expect((await agent.next()).frame).toMatchObject({ r: "the client has gone" });
    agent.say({ action: "relay", relay, frame });
    expect((await agent.next()).frame).toMatchObject({ r: "the client has gone" });
    agent.socket.close();
  });

  test("is not logged", () => {
    expect(lines.join("\n")).not.toMatch(/"ticket"|x-skiff-ticket/);
  });
});

describe("frames", () => {
  test("pass only between the two ends of a relay", async () => {
    const [agent, other] = [await dial(first), await dial(second)];
    const [client, neighbour] = [
      await dial(ann, withTicket(await ticketOf("one"))),
      await dial(ann, withTicket(await ticketOf("two"))),
    ];
    client.say({ action: "relay", open: true, frame });
    neighbour.say({ action: "relay", open: true, frame });
    const { relay } = await agent.next();
    const { relay: theirs } = await other.next();
    const before = refusals();
    other.say({ action: "relay", relay, frame: { a: 0, l: 1, r: "from the wrong node" } });
    neighbour.say({ action: "relay", relay, frame: { a: 0, l: 1, r: "from another client" } });
    neighbour.say({ action: "heartbeat" });
    neighbour.say({ action: "watch", watches: [{ type: "core/secrets" }] });
    agent.say({ action: "relay", frame });
    agent.say({ action: "relay", relay: theirs, frame });
    agent.say({ action: "relay", relay: "x".repeat(300), frame });
    await refused(before + 5);
    await expect.poll(() => neighbour.heard.length, { timeout: 20_000 }).toBe(2);
    expect([client.heard, agent.heard, other.heard]).toEqual([[], [], []]);
    expect(neighbour.heard.map(({ message }) => message)).toEqual(Array(2).fill("Internal server error"));
    for (const { socket } of [agent, other, client, neighbour]) socket.close();
  });

  test("that are malformed are dropped, and oversized ones close the connection", async () => {
    const agent = await dial(first);
    const client = await dial(ann, withTicket(await ticketOf("one")));
    const before = refusals();
    for (const bad of [undefined, null, 7, "x", {}, { a: -1, l: 1 }, { a: 0, l: 1, n: 0, d: "?" }, { ...frame, x: 1 }])
      client.say({ action: "relay", open: true, frame: bad });
    client.socket.send("nonsense");
    await refused(before + 9);
    expect([agent.heard, client.heard]).toEqual([[], []]);
    const closed = once(client.socket, "close");
    client.say({ action: "relay", frame: { ...frame, n: 0, d: "A".repeat(33 * 1024) } });
    expect((await closed)[0]).toBe(1009);
    expect((await agent.next()).frame).toMatchObject({ r: "the client has gone" });
    agent.socket.close();
  });

  test("follow an agent to its next connection, where the request must not start again", async () => {
    const agent = await dial(first);
    const client = await dial(ann, withTicket(await ticketOf("one")));
    client.say({ action: "relay", open: true, frame });
    expect((await agent.next()).path).toMatch(/^\/exec\//);
    agent.socket.close();
    await once(agent.socket, "close");
    const back = await dial(first);
    // Frames that are lost before the old connection is known to be gone are sent again by the ends of the relay.
    const reach = async () => {
      client.say({ action: "relay", open: true, frame });
      return back.heard.length;
    };
    await expect.poll(reach, { timeout: 20_000, interval: 50 }).toBeGreaterThan(12);
    for (const said of back.heard) expect([said.frame, said.path]).toEqual([frame, undefined]);
    const [said] = back.heard as [Said];
    back.say({ action: "relay", relay: said.relay, frame });
    expect((await client.next()).frame).toEqual(frame);
    for (const { socket } of [back, client]) socket.close();
  });

  test("cost one invocation each, and next to no reads", async () => {
    const agent = await dial(first);
    const client = await dial(ann, withTicket(await ticketOf("one")));
    let count = 0;
    const counted = (say: (message: object) => void) => (message: object) => {
      count++;
      say(message);
    };
    const end = (opens: boolean, say: (message: object) => void) =>
      relayStream({
        ...{ clock: systemClock, opens, over: () => {} },
        send: (each, isOpening) =>
          counted(say)({
            action: "relay",
            ...(isOpening ? { open: true } : {}),
            ...(opens ? {} : { relay: id }),
            frame: each,
          }),
      });
    let id = "";
    const [near, far] = [end(true, client.say), end(false, agent.say)];
    client.socket.on("message", (data) => near.take(JSON.parse(String(data)).frame));
    agent.socket.on("message", (data) => {
      const said = JSON.parse(String(data));
      id = said.relay;
      far.take(said.frame);
    });
    far.stream.pipe(far.stream);
    const trip = async (): Promise<number> => {
      const began = performance.now();
      near.stream.write("x");
      await once(near.stream, "data");
      return performance.now() - began;
    };
    for (let warm = 0; warm < 20; warm++) await trip();
    const trips = [];
    for (let each = 0; each < 50; each++) trips.push(await trip());
    const link = stage.functions.get("link")!;
    const before = { invocations: link.invocations, count };
    reads = 0;
    const size = 8 * 1024 * 1024;
    const began = performance.now();
    let got = 0;
    near.stream.on("data", (chunk: Buffer) => {
      got += chunk.length;
    });
    near.stream.end(Buffer.alloc(size, "x"));
    await once(near.stream, "end");
    const seconds = (performance.now() - began) / 1000;
    const invocations = link.invocations - before.invocations;
    const sent = count - before.count;
    const figures = {
      roundTripMilliseconds: trips.sort((a, b) => a - b)[25]!,
      bothWaysMiBPerSecond: size / 2 ** 20 / seconds,
      framesPerMiB: sent / (2 * (size / 2 ** 20)),
      invocationsPerFrame: invocations / sent,
      readUnitsPerFrame: reads / sent,
    };
    process.stdout.write(`${JSON.stringify({ name: "relay", value: figures })}\n`);
    expect(got).toBe(size);
    expect(figures.framesPerMiB).toBeLessThan(75);
    expect(figures.invocationsPerFrame).toBeLessThan(1.02);
    expect(figures.readUnitsPerFrame).toBeLessThan(0.1);
    near.stream.destroy();
    for (const { socket } of [agent, client]) socket.close();
  });
});
