import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "#base";
import { changesBetween, type PortChange, type ProxyPort, proxyPortsOf } from "../model.ts";
import { service } from "../testing/objects.ts";
import { UserspaceWriter } from "./writer.ts";

const address = "127.0.0.1";
const endpoint = (port: number, isLocal = false) => ({
  ip: address,
  port,
  isLocal,
  isReady: true,
  isServing: true,
  isTerminating: false,
});
const [plain] = proxyPortsOf(service(), [], { name: "here", zone: "" }, { family: "IPv4" });
const portWith = (numbers: number[], part: Partial<ProxyPort> = {}): ProxyPort => ({
  ...plain!,
  cluster: numbers.map((number) => endpoint(number)),
  hasAny: numbers.length > 0,
  ...part,
});

let time: number;
let synced: PortChange[][];
let ports: ProxyPort[];
let error: Error | undefined;
let writer: UserspaceWriter;
const servers: Server[] = [];
beforeEach(() => {
  time = 0;
  synced = [];
  ports = [];
  error = undefined;
  const rules = {
    sync: async (changes: readonly PortChange[]) => {
      synced.push([...changes]);
      if (error) throw error;
    },
    invalidate: () => {},
  };
  writer = new UserspaceWriter({ rules, address, now: () => time, log: silentLog });
});
afterEach(() => {
  writer.stop();
  for (const server of servers.splice(0)) server.close();
});

async function sync(...next: ProxyPort[]): Promise<void> {
  const changes = changesBetween(ports, next);
  ports = next;
  await writer.sync(changes);
}
const applied = (): ProxyPort => [...writer.applied()][0]!;
const listenerPort = (policy: "cluster" | "local" = "cluster"): number => applied()[policy][0]!.port;

/** A server that answers with its name and what it has received, once the client has ended. */
async function serve(name: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    text(socket).then(
      (got) => socket.end(`${name} ${got}`),
      () => socket.destroy(),
    );
  });
  servers.push(server.listen(0, address));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
async function ask(port: number, said = "hello"): Promise<string> {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  socket.end(said);
  return text(socket);
}

test("connections are passed on to the endpoints in turn, and each side's end to the other", async () => {
  await sync(portWith([await serve("one"), await serve("two")]));
  expect([await ask(listenerPort()), await ask(listenerPort()), await ask(listenerPort())]).toEqual([
    "one hello",
    "two hello",
    "one hello",
  ]);
});

test("an endpoint that accepts no connection is left out, and a service without any resets", async () => {
  const closed = await serve("closed");
  servers.pop()!.close();
  await sync(portWith([closed, await serve("two")]));
  expect([await ask(listenerPort()), await ask(listenerPort())]).toEqual(["two hello", "two hello"]);
  await sync(portWith([closed]));
  await expect(ask(listenerPort())).rejects.toThrow("ECONNRESET");
});

test("a client with affinity stays with its endpoint until the timeout", async () => {
  const two = [await serve("one"), await serve("two")];
  await sync(portWith(two, { affinitySeconds: 10 }));
  const said = async () => (await ask(listenerPort())).split(" ")[0];
  expect([await said(), await said()]).toEqual(["one", "one"]);
  time = 9_000;
  expect(await said()).toBe("one");
  time = 19_000;
  expect(await said()).toBe("two");
  // It gets another one when its endpoint has gone.
  await sync(portWith([two[0]!], { affinitySeconds: 10 }));
  expect(await said()).toBe("one");
});

test("the policy Local has a listener of its own", async () => {
  const [near, far] = [await serve("near"), await serve("far")];
  await sync(portWith([near, far], { local: [endpoint(near, true)], externalLocal: true }));
  expect([await ask(listenerPort("local")), await ask(listenerPort("local"))]).toEqual(["near hello", "near hello"]);
  await sync(portWith([far], { externalLocal: true }));
  expect(applied().local).toEqual([]);
});

test("UDP clients keep their endpoint until it has gone", async () => {
  const bound = await Promise.all(
    ["one", "two"].map(async (name) => {
      const socket = createSocket("udp4").bind(0, address);
      socket.on("message", (_, from) => socket.send(name, from.port, from.address));
      await once(socket, "listening");
      return socket;
    }),
  );
  const [one, two] = bound.map((socket) => socket.address().port);
  const client = createSocket("udp4");
  const said = async () => {
    client.send("hello", listenerPort(), address);
    const [packet] = (await once(client, "message")) as [Buffer];
    return packet.toString();
  };
  await sync(portWith([one!, two!], { protocol: "UDP" }));
  expect([await said(), await said()]).toEqual(["one", "one"]);
  await sync(portWith([two!], { protocol: "UDP" }));
  expect(await said()).toBe("two");
  for (const socket of [client, ...bound]) socket.close();
});

test("listeners close when their service has gone, and SCTP is refused", async () => {
  await sync(portWith([await serve("one")]));
  const port = listenerPort();
  await sync();
  await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
  await sync(portWith([1], { protocol: "SCTP" }));
  expect(applied()).toMatchObject({ cluster: [], hasAny: false });
});

test("the rules have the listeners as endpoints, and a change of endpoints changes no rule", async () => {
  await sync(portWith([await serve("one")], { affinitySeconds: 60 }));
  const { before, after } = synced[0]![0]!;
  expect(before).toBeUndefined();
  expect(after).toMatchObject({ cluster: [{ ip: address, port: listenerPort() }], affinitySeconds: 0 });
  await sync(portWith([await serve("two")], { affinitySeconds: 60 }));
  expect(synced[1]![0]!.after).toEqual(after);
});
