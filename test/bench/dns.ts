import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeMessage, encodeMessage, parseName } from "#agent/dns";
import type { SkiffProcess } from "../kubectl/cluster.ts";
import { percentile, report } from "./measure.ts";
import { connect, type Wire } from "./wire.ts";

const address = "127.0.0.1";
const namespaces = 10;
/** Services with a cluster IP and three endpoints, and headless ones with twenty. */
const services = 1000;
const headless = 50;
/** Rounds with as many questions as a server answers, and then with a steady pace; short ones, since other work disturbs. */
const rounds = { rate: 5, p99: 20 };
const seconds = { rate: 4, p99: 1 };
/** Questions a second at a steady pace. */
const pace = 2000;

interface Server {
  name: string;
  process: ChildProcess;
  port: number;
  /** MiB of the process that it needs without DNS, too. */
  otherMemory: number;
}

/**
 * Cluster DNS against CoreDNS, if COREDNS names its binary: both serve the services of one cluster, and the load
 * alternates between them. Memory is what DNS adds to an agent, which follows the services anyway, and CoreDNS's process.
 */
export async function benchDns(skiff: SkiffProcess): Promise<void> {
  const wire = connect(skiff.dataDir, 16);
  await createObjects(wire);
  wire.close();
  const resolvConf = join(skiff.dataDir, "resolv.conf");
  writeFileSync(resolvConf, "");
  const servers = [await startOwn(skiff, resolvConf)];
  const coredns = process.env["COREDNS"];
  if (coredns !== undefined) servers.push(await startCoreDns(skiff, coredns));
  try {
    for (const server of servers) await checkAnswers(server);
    for (const server of servers) await saturate(server, 2);
    const rates = await alternate(servers, rounds.rate, measureRate);
    const memories = servers.map((server) => measureMemory(server));
    const pids = [process.pid, ...servers.map(({ process: child }) => child.pid!)];
    const realtime = setScheduling(pids, ["--fifo", "10"]);
    const p99s = await alternate(servers, rounds.p99, measureTime);
    setScheduling([process.pid], ["--other", "0"]);
    if (servers.length === 1) return;
    report("dns.ratio.rate", ratioOf(rates), "of CoreDNS", { rounds: rounds.rate });
    report("dns.ratio.p99", ratioOf(p99s), "of CoreDNS", { rounds: rounds.p99, pace, realtime });
    report("dns.ratio.memory", ratioOf(memories.map((memory) => [memory])), "of CoreDNS", {});
  } finally {
    for (const { process: child } of servers) child.kill("SIGKILL");
  }
}

/** The figures of each server, in rounds in turn; each second round begins with the other one. */
async function alternate(
  servers: readonly Server[],
  count: number,
  measure: (server: Server, round: number) => Promise<number>,
): Promise<number[][]> {
  const figures: number[][] = servers.map(() => []);
  for (let round = 0; round < count; round++) {
    const order = round % 2 === 0 ? [...servers.keys()] : [...servers.keys()].reverse();
    for (const index of order) figures[index]!.push(await measure(servers[index]!, round));
  }
  return figures;
}

/** Median by median. */
const ratioOf = ([own = [], other = []]: number[][]): number => percentile(own, 0.5) / percentile(other, 0.5);

async function measureRate(server: Server, round: number): Promise<number> {
  const { answered, cpuSeconds, lost } = await saturate(server, seconds.rate);
  const rate = answered / cpuSeconds;
  const params = { server: server.name, round, perSecond: answered / seconds.rate, lost };
  report("dns.rate", rate, "questions per CPU second", params);
  return rate;
}

async function measureTime(server: Server, round: number): Promise<number> {
  const samples = await paced(server, seconds.p99);
  const p99 = percentile(samples, 0.99);
  report("dns.p99", p99, "ms", { server: server.name, round, pace, median: percentile(samples, 0.5) });
  return p99;
}

function measureMemory(server: Server): number {
  const resident = residentMiB(server);
  const memory = resident - server.otherMemory;
  report("dns.memory", memory, "MiB", { server: server.name, resident });
  return memory;
}

async function createObjects(wire: Wire): Promise<void> {
  for (let index = 0; index < namespaces; index++) {
    await create(wire, "/api/v1/namespaces", { metadata: { name: `team-${index}` } });
  }
  const all = [
    ...Array.from({ length: services }, (_, index) => ({ name: `web-${index}`, ip: undefined, endpoints: 3, index })),
    ...Array.from({ length: headless }, (_, index) => ({ name: `db-${index}`, ip: "None", endpoints: 20, index })),
  ];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let service = all[next++]; service; service = all[next++]) {
      const { name, ip, endpoints, index } = service;
      const namespace = `team-${index % namespaces}`;
      const ports = [{ name: "http", port: 80, protocol: "TCP" }];
      const path = `/api/v1/namespaces/${namespace}/services`;
      await create(wire, path, { metadata: { name }, spec: { clusterIP: ip, ports } });
      await create(wire, `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
        metadata: { name: `${name}-1`, labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        ports,
        endpoints: Array.from({ length: endpoints }, (_, at) => ({
          addresses: [`10.${ip === undefined ? 1 : 2}.${index % 250}.${10 * Math.floor(index / 250) + at + 1}`],
          hostname: `${name}-${at}`,
        })),
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

const create = (wire: Wire, path: string, object: object) => wire.send("POST", path, JSON.stringify(object));

async function startOwn({ dataDir }: SkiffProcess, resolvConf: string): Promise<Server> {
  const port = 10_053;
  const flags = ["--max-semi-space-size=4", "--expose-gc"];
  const child = spawn(
    process.execPath,
    [...flags, "test/bench/dns-server.ts", dataDir, address, String(port), resolvConf],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { resident } = JSON.parse(line.toString()) as { resident: number };
  return { name: "skiff", process: child, port, otherMemory: resident / 2 ** 20 };
}

/** With kubeadm's settings, but without its metrics, health checks and reloads. */
async function startCoreDns({ dataDir, kubeconfig }: SkiffProcess, binary: string): Promise<Server> {
  const port = 10_054;
  const file = join(dataDir, "Corefile");
  writeFileSync(
    file,
    `.:${port} {
    bind ${address}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig ${kubeconfig}
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loadbalance
}
`,
  );
  const child = spawn(binary, ["-conf", file], { stdio: ["ignore", "ignore", "inherit"] });
  const server = { name: "coredns", process: child, port, otherMemory: 0 };
  for (let attempt = 0; ; attempt++) {
    if (
      await checkAnswers(server).then(
        () => true,
        () => false,
      )
    )
      return server;
    if (attempt > 60) throw new Error("CoreDNS does not answer as expected");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const types = { A: 1, AAAA: 28, SRV: 33 };

/** A question, and the rcode and the number of answers that it has. */
interface Question {
  packet: Buffer;
  rcode: number;
  answers: number;
}

function questionOf(name: string, type: keyof typeof types, rcode: number, answers: number): Question {
  const question = { name: parseName(`${name}.cluster.local`)!, type: types[type], class: 1 };
  const edns = { size: 1232, version: 0, dnssec: false, extendedRcode: 0 };
  const message = { id: 0, flags: 0x0100, question, answers: [], authorities: [], additionals: [], edns };
  return { packet: encodeMessage(message), rcode, answers };
}

/** What pods ask by the C library: A and AAAA, names of other search domains, some SRV and some headless services. */
const questions: Question[] = Array.from({ length: services }, (_, index) => {
  const namespace = `team-${index % namespaces}`;
  const name = `web-${index}.${namespace}.svc`;
  const set = `db-${index % headless}.team-${(index % headless) % namespaces}.svc`;
  return [
    questionOf(name, "A", 0, 1),
    questionOf(name, "AAAA", 0, 0),
    questionOf(`web-${index}.${namespace}.default.svc`, "A", 3, 0),
    questionOf(`web-${index}.${namespace}.default.svc`, "AAAA", 3, 0),
    questionOf(name, "A", 0, 1),
    questionOf(name, "AAAA", 0, 0),
    index % 2 === 0 ? questionOf(set, "A", 0, 20) : questionOf(`_http._tcp.${name}`, "SRV", 0, 1),
  ];
}).flat();

/** Throws unless the server has the answers that are expected. */
async function checkAnswers({ port, name }: Server): Promise<void> {
  const socket = createSocket("udp4");
  try {
    for (const { packet, rcode, answers } of questions.slice(0, 500)) {
      socket.send(packet, port, address);
      const [bytes] = (await once(socket, "message", { signal: AbortSignal.timeout(2000) })) as [Buffer];
      const message = decodeMessage(bytes);
      if (!message || (message.flags & 15) !== rcode || message.answers.length !== answers) {
        throw new Error(`${name} answers ${JSON.stringify(message)}`);
      }
    }
  } finally {
    socket.close();
  }
}

/**
 * Sets how the kernel schedules the processes: with real-time scheduling other work of the machine does not delay
 * answers. False where that is not allowed.
 */
function setScheduling(pids: readonly number[], [policy = "", priority = ""]: string[]): boolean {
  const results = pids.map((pid) => spawnSync("chrt", ["--all-tasks", policy, "--pid", priority, String(pid)]).status);
  return results.every((status) => status === 0);
}

/** User and system time of a process, in seconds. */
function cpuOf({ process: { pid } }: Server): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentMiB({ process: { pid } }: Server): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Questions that were sent and not answered within this time are lost. */
const patience = 1000;

/** Sends questions over one socket; ids are used in turn. */
class Asker {
  readonly socket: Socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  readonly #port: number;
  readonly #answered: (milliseconds: number) => void;
  readonly #sent = new Float64Array(65_536);
  #id = 0;
  #next: number;

  constructor(port: number, first: number, answered: (milliseconds: number) => void) {
    this.#port = port;
    this.#next = first;
    this.#answered = answered;
    this.socket.on("message", (packet) => {
      const id = packet.readUInt16BE(0);
      const from = this.#sent[id]!;
      if (from === 0) return;
      this.#sent[id] = 0;
      this.#answered(performance.now() - from);
    });
  }

  async open(): Promise<void> {
    this.socket.connect(this.#port, address);
    await once(this.socket, "connect");
  }

  ask(): void {
    const { packet } = questions[this.#next++ % questions.length]!;
    this.#id = (this.#id + 1) & 0xffff;
    const copy = Buffer.from(packet);
    copy.writeUInt16BE(this.#id, 0);
    this.#sent[this.#id] = performance.now();
    this.socket.send(copy);
  }

  /** Forgets questions that are lost, and returns their number. */
  lost(): number {
    const limit = performance.now() - patience;
    let count = 0;
    for (const [id, from] of this.#sent.entries()) {
      if (from === 0 || from > limit) continue;
      this.#sent[id] = 0;
      count++;
    }
    return count;
  }
}

const sockets = 8;
const windowOfSocket = 8;

/** As many questions as the server answers, with 64 at a time. */
async function saturate(server: Server, duration: number) {
  let answered = 0;
  let lost = 0;
  let isOver = false;
  const askers = Array.from({ length: sockets }, (_, index) => {
    const asker: Asker = new Asker(server.port, index * 977, () => {
      answered++;
      if (!isOver) asker.ask();
    });
    return asker;
  });
  await Promise.all(askers.map((asker) => asker.open()));
  const cpu = cpuOf(server);
  for (const asker of askers) for (let index = 0; index < windowOfSocket; index++) asker.ask();
  for (let second = 0; second < duration; second++) {
    await sleep(1000);
    for (const asker of askers) {
      const count = asker.lost();
      lost += count;
      for (let index = 0; index < count; index++) asker.ask();
    }
  }
  isOver = true;
  const cpuSeconds = cpuOf(server) - cpu;
  const total = answered;
  await sleep(200);
  for (const { socket } of askers) socket.close();
  return { answered: total, cpuSeconds, lost };
}

/** Milliseconds of each answer at a steady pace; a lost question counts as a second. */
async function paced(server: Server, duration: number): Promise<number[]> {
  const samples: number[] = [];
  const asker = new Asker(server.port, 0, (milliseconds) => samples.push(milliseconds));
  await asker.open();
  const started = performance.now();
  let sent = 0;
  while (sent < duration * pace) {
    const due = Math.min(duration * pace, ((performance.now() - started) / 1000) * pace);
    for (; sent < due; sent++) asker.ask();
    await sleep(1);
  }
  for (let waited = 0; samples.length < sent && waited < patience; waited += 50) await sleep(50);
  while (samples.length < sent) samples.push(patience);
  asker.socket.close();
  return samples;
}
