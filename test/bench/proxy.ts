import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { percentile, report } from "./measure.ts";
import { connect, type Wire } from "./wire.ts";

const services = 5000;
const rounds = 3;
/** Changes of one endpoint in each round. */
const changes = 8;
const inside = "SKIFF_BENCH_NETWORK";

/** The figures of one proxy in one round. */
interface Figures {
  /** Milliseconds of the first sync, of all services. */
  first: number;
  /** Milliseconds of each sync after one endpoint has changed. */
  changed: number[];
  /** MiB. */
  memory: number;
}

/**
 * The service proxy against kube-proxy in nftables mode, if KUBE_PROXY names its binary: both follow the services of one
 * cluster, one after the other in turn, in a network of their own. Times are those that each reports of its own syncs,
 * without the list of objects. Memory is what the proxy adds to an agent, which follows the services anyway, and
 * kube-proxy's process.
 */
export async function benchProxy(): Promise<void> {
  if (process.env[inside] === undefined) return runInside();
  const skiff = await startSkiff(["--runtime", "fake", "--node-name", "here"]);
  const wire = connect(skiff.dataDir, 16);
  try {
    await createServices(wire);
    const own: Figures[] = [];
    const other: Figures[] = [];
    const binary = process.env["KUBE_PROXY"];
    for (let round = 0; round < rounds; round++) {
      const measureOwn = async () => own.push(await measured("skiff", round, startOwn(skiff), wire));
      const measureOther = async () => {
        if (binary !== undefined) other.push(await measured("kube-proxy", round, startOther(skiff, binary), wire));
      };
      for (const each of round % 2 === 0 ? [measureOwn, measureOther] : [measureOther, measureOwn]) await each();
    }
    if (other.length > 0) reportRatios(own, other);
  } finally {
    wire.close();
    await skiff.stop();
  }
}

/** Runs the same command in a network of its own: no rule of the machine changes. */
async function runInside(): Promise<void> {
  const setUp = [
    "ip link set lo up",
    "ip link add out type veth peer name far",
    "ip address add 192.0.2.1/24 dev out",
    "ip link set out up",
    "ip link set far up",
    "ip route add default via 192.0.2.254",
    'exec "$@"',
  ].join(" && ");
  const command = [process.execPath, "test/bench/main.ts", "proxy"];
  const child = spawn("unshare", ["-n", "sh", "-c", setUp, "sh", ...command], {
    stdio: "inherit",
    env: { ...process.env, [inside]: "yes" },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`the measurement of the service proxy ended with code ${code}`);
}

function reportRatios(own: readonly Figures[], other: readonly Figures[]): void {
  const median = (figures: readonly Figures[], of: (each: Figures) => number): number =>
    percentile(figures.map(of), 0.5);
  const ratio = (of: (each: Figures) => number): number => median(own, of) / median(other, of);
  const params = { services, rounds };
  report(
    "proxy.ratio.first",
    ratio(({ first }) => first),
    "of kube-proxy",
    params,
  );
  report(
    "proxy.ratio.changed",
    ratio(({ changed }) => percentile(changed, 0.5)),
    "of kube-proxy",
    params,
  );
  report(
    "proxy.ratio.memory",
    ratio(({ memory }) => memory),
    "of kube-proxy",
    params,
  );
}

interface Proxy {
  process: ChildProcess;
  lines: Interface;
  /** Milliseconds of a sync, from a line of the log that reports one. */
  syncOf(line: string): number | undefined;
  /** MiB of the process that it needs without the rules; as soon as it is known. */
  otherMemory: number;
  table: string;
}

async function measured(name: string, round: number, proxy: Proxy, wire: Wire): Promise<Figures> {
  const syncs = new Syncs(proxy);
  try {
    const first = await syncs.next();
    report("proxy.first", first, "ms", { proxy: name, round, services });
    const changed: number[] = [];
    for (let change = 0; change < changes; change++) {
      // Nothing else is left to do.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const next = syncs.next();
      await changeEndpoint(wire, round * changes + change, name === "skiff" ? 1 : 2);
      changed.push(await next);
    }
    report("proxy.changed", percentile(changed, 0.5), "ms", {
      proxy: name,
      round,
      changes,
      most: Math.max(...changed),
    });
    const resident = residentMiB(proxy.process);
    const memory = resident - proxy.otherMemory;
    report("proxy.memory", memory, "MiB", { proxy: name, round, resident });
    return { first, changed, memory };
  } finally {
    const ended = proxy.process.exitCode === null ? once(proxy.process, "exit") : undefined;
    proxy.process.kill("SIGKILL");
    await ended;
    execFileSync("nft", ["-f", "-"], { input: `add table ${proxy.table}\ndelete table ${proxy.table}\n` });
  }
}

/** Waits for the syncs that a proxy reports. */
class Syncs {
  #waiting: ((milliseconds: number) => void) | undefined;
  readonly #ended: Promise<never>;

  constructor(proxy: Proxy) {
    this.#ended = once(proxy.process, "exit").then(([code]) => {
      throw new Error(`the proxy ended with code ${code}`);
    });
    this.#ended.catch(() => {});
    proxy.lines.on("line", (line) => {
      const milliseconds = proxy.syncOf(line);
      if (milliseconds === undefined) return;
      this.#waiting?.(milliseconds);
      this.#waiting = undefined;
    });
  }

  next(): Promise<number> {
    const reported = new Promise<number>((resolve) => {
      this.#waiting = resolve;
    });
    return Promise.race([reported, this.#ended]);
  }
}

const residentMiB = ({ pid }: ChildProcess): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

function startOwn({ dataDir }: SkiffProcess): Proxy {
  const flags = ["--max-semi-space-size=4", "--expose-gc"];
  const child = spawn(process.execPath, [...flags, "test/bench/proxy-server.ts", dataDir, "skiff-bench"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const proxy: Proxy = {
    process: child,
    lines: createInterface({ input: child.stdout }),
    otherMemory: 0,
    table: "ip skiff-bench",
    syncOf: (line) => {
      const { message, milliseconds, ports, resident } = JSON.parse(line) as Record<string, unknown>;
      if (typeof resident === "number") proxy.otherMemory = resident / 2 ** 20;
      return message === "the rules of services are written" && ports !== 0 ? Number(milliseconds) : undefined;
    },
  };
  return proxy;
}

/** With the defaults of upstream, but for settings of the kernel that a network of its own does not have. */
function startOther({ kubeconfig }: SkiffProcess, binary: string): Proxy {
  const flags = [
    `--kubeconfig=${kubeconfig}`,
    "--proxy-mode=nftables",
    "--cluster-cidr=10.244.0.0/24",
    "--hostname-override=here",
    "--conntrack-max-per-core=0",
    "--conntrack-tcp-timeout-established=0s",
    "--conntrack-tcp-timeout-close-wait=0s",
    "--v=2",
  ];
  const child = spawn(binary, flags, { stdio: ["ignore", "ignore", "pipe"] });
  return {
    process: child,
    lines: createInterface({ input: child.stderr }),
    otherMemory: 0,
    table: "ip kube-proxy",
    syncOf: (line) => {
      const [, elapsed] = /"SyncProxyRules complete" ipFamily="IPv4" elapsed="([^"]+)"/.exec(line) ?? [];
      return elapsed === undefined ? undefined : millisecondsOf(elapsed);
    },
  };
}

/** Milliseconds of a duration as Go prints it, such as `1m2.5s` and `35.1ms`. */
function millisecondsOf(duration: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, µs: 0.001, ns: 0.000001 };
  const parts = [...duration.matchAll(/([\d.]+)(h|ms|m|s|µs|ns)/g)];
  return parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (units[unit] ?? 0), 0);
}

const send = async (wire: Wire, method: string, path: string, object: object): Promise<void> => {
  await wire.send(method, path, JSON.stringify(object));
};

const slicePath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const sliceOf = (index: number, last: number) => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: `web-${index}-1`, labels: { "kubernetes.io/service-name": `web-${index}` } },
  addressType: "IPv4",
  ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  endpoints: [1, last].map((part) => ({
    addresses: [`10.${240 + part}.${Math.floor(index / 250)}.${(index % 250) + 1}`],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: "there",
  })),
});

async function createServices(wire: Wire): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < services; index = next++) {
      const spec = { ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }] };
      await send(wire, "POST", "/api/v1/namespaces/default/services", { metadata: { name: `web-${index}` }, spec });
      await send(wire, "POST", slicePath, sliceOf(index, 2));
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

/** Replaces one endpoint of a service by another one. */
const changeEndpoint = (wire: Wire, change: number, proxy: number): Promise<void> => {
  const index = change * 3 + proxy;
  return send(wire, "PUT", `${slicePath}/web-${index}-1`, sliceOf(index, 3));
};
