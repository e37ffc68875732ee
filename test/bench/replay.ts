import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { load, report } from "./measure.ts";
import { connect, type Wire } from "./wire.ts";

const watches = 300;
const events = 1000;
const eventSize = 1200;
/** One watch in so many reads slowly: a chunk of so many bytes, then a pause in milliseconds. */
const slowEvery = 3;
const slow = { piece: 64 * 1024, pause: 200 };
/** How many watches share a connection of HTTP/2; a server takes 100. */
const streams = 50;
const longest = 90_000;
const path = "/api/v1/namespaces/replay/configmaps";

const protocols = ["http/1.1", "h2"] as const;
type Protocol = (typeof protocols)[number];

/** Opens a watch; the body is delivered as it is read. */
type Open = (path: string) => Promise<{ body: Readable; close(): void }>;

/**
 * Many watches that begin at an old revision at the same time: by how much the control plane's resident memory grows
 * above an idle one, at its highest. Once from the window that the server holds, and once from the log, as after a
 * restart, and once from the objects that are there.
 */
export async function benchReplay(options: readonly string[]): Promise<void> {
  for (const protocol of protocols) {
    let skiff = await startSkiff(options);
    try {
      await wait(2000);
      const idle = residentOf(skiff);
      const wire = connect(skiff.dataDir, 32);
      const start = await write(wire);
      wire.close();
      await measure(skiff, protocol, start, idle, "window");
      for (const [from, revision] of [
        ["log", start],
        ["objects", "0"],
      ] as const) {
        skiff.process.kill("SIGTERM");
        await once(skiff.process, "exit");
        skiff = await startSkiff(options, skiff.dataDir);
        await wait(2000);
        await measure(skiff, protocol, revision, residentOf(skiff), from);
      }
    } finally {
      await skiff.stop();
    }
  }
}

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resident memory of the control plane's process, in MiB. */
function residentOf({ dataDir }: SkiffProcess): number {
  const { pid } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { pid: number };
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

/** Fills the log; returns the revision before it. */
async function write(wire: Wire): Promise<string> {
  await wire.send(
    "POST",
    "/api/v1/namespaces",
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "replay" } }),
  );
  const first = await wire.send("POST", path, body("first"));
  await load(events, 16, (index) => wire.send("POST", path, body(`replay-${index}`)));
  return (JSON.parse(first.body.toString()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

const body = (name: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { app: "replay" } },
    data: { padding: "x".repeat(eventSize - 290) },
  });

async function measure(
  skiff: SkiffProcess,
  protocol: Protocol,
  start: string,
  idle: number,
  from: "window" | "log" | "objects",
): Promise<void> {
  const client = protocol === "h2" ? await overHttp2(skiff.dataDir) : overHttp1(skiff.dataDir);
  if (!client) return;
  const before = residentOf(skiff);
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, residentOf(skiff));
  }, 20);
  const started = performance.now();
  const target = `${path}?watch=true&resourceVersion=${start}`;
  let all: Replayed[];
  try {
    all = await Promise.all(
      Array.from({ length: watches }, (_, index) => replay(client.open, target, index % slowEvery === 0)),
    );
  } finally {
    clearInterval(sampler);
    client.close();
  }
  report("watch.replay", peak - idle, "MiB", {
    protocol,
    from,
    watches,
    bytesEach: Math.round(all.reduce((sum, { bytes }) => sum + bytes, 0) / watches),
    slow: Math.ceil(watches / slowEvery),
    slowBytesPerSecond: (slow.piece * 1000) / slow.pause,
    idle: Math.round(idle),
    before: Math.round(before),
    seconds: Math.round((performance.now() - started) / 100) / 10,
    missed: all.reduce((sum, { seen }) => sum + Math.max(0, events - seen), 0),
  });
}

interface Replayed {
  seen: number;
  bytes: number;
}

/** The result of a watch that the server has rejected. */
const nothing = { body: Readable.from([]), close: () => {} };

/** Reads a watch until it has shown every event, at most so long. */
async function replay(open: Open, target: string, isSlow: boolean): Promise<Replayed> {
  const { body: stream, close } = await open(target).catch(() => nothing);
  const timer = setTimeout(close, longest);
  let [seen, bytes, taken] = [0, 0, 0];
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      taken += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) seen++;
      if (seen >= events) break;
      if (isSlow && taken >= slow.piece) {
        taken = 0;
        await wait(slow.pause);
      }
    }
  } catch {
    // A closed watch counts the events that it has received.
  } finally {
    clearTimeout(timer);
    close();
  }
  return { seen, bytes };
}

function identityOf(dataDir: string) {
  const { server } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { server: string };
  const read = (file: string) => readFileSync(join(dataDir, "pki", file), "utf8");
  return { server: new URL(server), tls: { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key") } };
}

interface Watchers {
  open: Open;
  close(): void;
}

/** Each watch on a connection of its own. */
function overHttp1(dataDir: string): Watchers {
  const { server, tls } = identityOf(dataDir);
  const agent = new Agent({ keepAlive: false, ...tls });
  const { hostname, port } = server;
  return {
    open: (target) =>
      new Promise((resolve, reject) => {
        const sent = request({ agent, hostname, port, path: target, headers: { accept: "application/json" } });
        sent.once("response", (response) => resolve({ body: response, close: () => sent.destroy() }));
        sent.on("error", reject);
        sent.end();
      }),
    close: () => agent.destroy(),
  };
}

/** Some watches on each connection; undefined where the server does not speak HTTP/2. */
async function overHttp2(dataDir: string): Promise<Watchers | undefined> {
  const { server, tls } = identityOf(dataDir);
  const sessions: ClientHttp2Session[] = [];
  for (let index = 0; index < Math.ceil(watches / streams); index++) {
    const session = connectHttp2(server, tls);
    session.on("error", () => {});
    const connected = await new Promise<boolean>((resolve) => {
      session.once("remoteSettings", () => resolve(true));
      session.once("close", () => resolve(false));
    });
    if (!connected) return undefined;
    sessions.push(session);
  }
  let next = 0;
  return {
    open: async (target) => {
      const stream = sessions[next++ % sessions.length]!.request({ ":path": target, accept: "application/json" });
      await once(stream, "response");
      return { body: stream, close: () => stream.destroy() };
    },
    close: () => {
      for (const session of sessions) session.destroy();
    },
  };
}
