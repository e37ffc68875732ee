import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Network } from "#agent/network/testing";
import { until } from "./client.ts";

/*
 * Machines of a laboratory: each has its own network, mounts and processes, and is connected to one of two networks,
 * between which a router forwards. This machine is in the first network, too. Laboratories of several processes are in
 * different networks.
 */

const skiff = resolve("lib/cli/skiff.ts");

/** The networks of a laboratory. */
export type LabNetwork = 1 | 2;

/** How many laboratories this machine can have at once: networks are pairs of the block for benchmarks, 198.18.0.0/15. */
const laboratories = 256;

/** Runs a program and returns its output. */
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 28 }).trim();

/** What a program that failed printed as its error. */
const stderrOf = (error: unknown): string => String((error as { stderr?: string }).stderr);

export class Laboratory {
  readonly #router: Network;
  readonly #hosts = new Set<Host>();
  readonly folder = mkdtempSync(join(tmpdir(), "skl"));
  #number = 0;

  private constructor(router: Network) {
    this.#router = router;
  }

  /** This machine's address in the first network. */
  get ownAddress(): string {
    return this.address(1, 250);
  }

  /** An address in a network. */
  address(network: LabNetwork, last: number): string {
    const place = 2 * this.#number + network - 1;
    return `198.${18 + (place >> 8)}.${place & 255}.${last}`;
  }

  routerAddress(network: LabNetwork): string {
    return this.address(network, 254);
  }

  get #ownLink(): string {
    return `skiff-lab${this.#number}`;
  }

  static async open(): Promise<Laboratory> {
    const laboratory = new Laboratory(await Network.open(100_000));
    try {
      laboratory.#connectNetworks();
    } catch (error) {
      // A process that is left would keep the tests from ending.
      laboratory.#router.close();
      throw error;
    }
    return laboratory;
  }

  #connectNetworks(): void {
    this.#claimNumber();
    for (const network of [1, 2] as const) {
      this.route("ip", "link", "add", `lan${network}`, "type", "bridge");
      this.route("ip", "address", "add", `${this.routerAddress(network)}/24`, "dev", `lan${network}`);
      this.route("ip", "link", "set", `lan${network}`, "up");
    }
    this.route("sysctl", "-qw", "net.ipv4.ip_forward=1");
    this.#plugIn("own", 1);
    run("ip", "address", "add", `${this.ownAddress}/24`, "dev", this.#ownLink);
    run("ip", "link", "set", this.#ownLink, "up");
    run("ip", "route", "add", `${this.address(2, 0)}/24`, "via", this.routerAddress(1));
  }

  /** Connects this machine to the router. The name of an interface exists once: it claims the laboratory's number. */
  #claimNumber(): void {
    const router = `${this.#router.pid}`;
    for (let attempt = 0; attempt < laboratories; attempt++) {
      this.#number = (process.pid + attempt) % laboratories;
      try {
        run("ip", "link", "add", this.#ownLink, "type", "veth", "peer", "name", "port-own", "netns", router);
        return;
      } catch (error) {
        if (!stderrOf(error).includes("File exists")) throw error;
      }
    }
    throw new Error("this machine has too many laboratories");
  }

  /** Runs a program on the router. */
  route(program: string, ...args: string[]): string {
    return this.#router.run(program, ...args);
  }

  /** Creates a pair of interfaces: `port-NAME` on the router, and `eth0` in the network of the process. */
  plug(name: string, network: LabNetwork, pid: number): void {
    this.route("ip", "link", "add", `port-${name}`, "type", "veth", "peer", "name", "eth0", "netns", `${pid}`);
    this.#plugIn(name, network);
  }

  #plugIn(name: string, network: LabNetwork): void {
    this.route("ip", "link", "set", `port-${name}`, "master", `lan${network}`);
    this.route("ip", "link", "set", `port-${name}`, "up");
  }

  /** Deletes a pair of interfaces: the kernel takes its time to end those of a network without processes. */
  unplug(name: string): void {
    try {
      this.route("ip", "link", "delete", `port-${name}`);
    } catch (error) {
      if (!stderrOf(error).includes("Cannot find device")) throw error;
    }
  }

  /** A machine in a network. */
  async host(name: string, network: LabNetwork): Promise<Host> {
    const host = new Host(this, name, network, this.address(network, this.#hosts.size + 1));
    this.#hosts.add(host);
    await host.boot();
    return host;
  }

  /** Cuts a machine off from its network, or connects it again. */
  connect(name: string, isConnected: boolean): void {
    this.route("ip", "link", "set", `port-${name}`, isConnected ? "up" : "down");
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) await host.kill();
    run("ip", "link", "delete", this.#ownLink);
    this.#router.close();
    for (const host of this.#hosts) host.removeCgroups();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A program on a machine. */
export interface HostProgram {
  child: ChildProcess;
  /** Its output so far. */
  text(): string;
}

export class Host {
  readonly name: string;
  readonly network: LabNetwork;
  readonly address: string;
  readonly dataDir: string;
  readonly #laboratory: Laboratory;
  readonly #folder: string;
  #holder: ChildProcess | undefined;
  #pid = 0;

  constructor(laboratory: Laboratory, name: string, network: LabNetwork, address: string) {
    this.#laboratory = laboratory;
    this.name = name;
    this.network = network;
    this.address = address;
    this.#folder = join(laboratory.folder, name);
    this.dataDir = join(this.#folder, "d");
  }

  /** Starts the machine. Its disk is what it was before. */
  async boot(): Promise<void> {
    for (const folder of ["cni", "skiff", "cgroup"]) mkdirSync(join(this.#folder, folder), { recursive: true });
    mkdirSync("/var/lib/cni", { recursive: true });
    mkdirSync("/var/lib/skiff", { recursive: true });
    const holder = spawn("unshare", ["-n", "-m", "-p", "-f", "--kill-child", "--", "sh", "-ec", setup, this.#folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    this.#holder = holder;
    const [init = ""] = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, "utf8").trim().split(" ");
    this.#pid = Number(init);
    this.#laboratory.plug(this.name, this.network, this.#pid);
    this.run("ip", "address", "add", `${this.address}/24`, "dev", "eth0");
    this.run("ip", "link", "set", "eth0", "up");
    this.run("ip", "route", "add", "default", "via", this.#laboratory.routerAddress(this.network));
  }

  /** Ends all processes of the machine at once, as a loss of power does. */
  async kill(): Promise<void> {
    const holder = this.#holder;
    if (!holder) return;
    this.#holder = undefined;
    const ended = once(holder, "exit");
    process.kill(this.#pid, "SIGKILL");
    await ended;
    this.#laboratory.unplug(this.name);
  }

  get #flags(): string[] {
    return ["-t", `${this.#pid}`, "-n", "-m", "-p", "--"];
  }

  /** Runs a program on the machine and returns its output. */
  run(program: string, ...args: string[]): string {
    return run("nsenter", ...this.#flags, program, ...args);
  }

  /** Starts `skiff` with these words and the machine's data folder. */
  skiff(...words: string[]): HostProgram {
    const args = [...this.#flags, process.execPath, skiff, ...words, "--data-dir", this.dataDir];
    const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const output of [child.stdout, child.stderr]) {
      output.on("data", (chunk: Buffer) => {
        text += chunk;
      });
    }
    return { child, text: () => text };
  }

  /** Starts `skiff` with these words, and waits for an output. Throws with the output when it ends before. */
  async start(output: string, ...words: string[]): Promise<HostProgram> {
    const started = this.skiff(...words);
    await until(async () => {
      if (started.child.exitCode !== null) throw new Error(`skiff ended on ${this.name}:\n${started.text()}`);
      return started.text().includes(output);
    }, 120);
    return started;
  }

  /** Runs `skiff` with these words to its end. */
  async finished(...words: string[]): Promise<{ code: number; text: string }> {
    const { child, text } = this.skiff(...words);
    const [code] = (await once(child, "close")) as [number];
    return { code, text: text() };
  }

  /** The process numbers of the machine's running cluster, as the machine counts them. */
  running(): { pid: number; agent: number } {
    return JSON.parse(readFileSync(join(this.dataDir, "running.json"), "utf8")) as { pid: number; agent: number };
  }

  clusterNetwork(): { bridge: string; cgroupRoot: string; podCidr: string } {
    return JSON.parse(readFileSync(join(this.dataDir, "network.json"), "utf8")) as ReturnType<Host["clusterNetwork"]>;
  }

  /** Runs a program of the machine in the network of a pod, and returns its output. */
  inNetworkOf(pod: string, program: string, ...args: string[]): string {
    interface CniResult {
      cniArgs: [string, string][];
      result: { interfaces: { sandbox?: string }[] };
    }
    const folder = join(this.#folder, "cni", "results");
    const found = readdirSync(folder)
      .map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as CniResult)
      .find(({ cniArgs }) => cniArgs.some(([name, value]) => name === "K8S_POD_NAME" && value === pod));
    const sandbox = found?.result.interfaces.find((one) => one.sandbox)?.sandbox;
    return this.run("nsenter", `--net=${sandbox}`, program, ...args);
  }

  /** Removes the cgroups of pods, which outlive their machine here. */
  removeCgroups(): void {
    const find = (folder: string): string[] =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap(({ name }) => [...find(join(folder, name)), join(folder, name)]);
    try {
      const { cgroupRoot } = this.clusterNetwork();
      const trees = readdirSync("/sys/fs/cgroup").map((tree) => join("/sys/fs/cgroup", tree, cgroupRoot));
      for (const tree of [join("/sys/fs/cgroup", cgroupRoot), ...trees]) {
        try {
          for (const folder of [...find(tree), tree]) run("rmdir", folder);
        } catch {
          // Not in this tree.
        }
      }
    } catch {
      // It has not run a cluster.
    }
  }
}

/** The first process of a machine: its own /proc, /sys, /run and state of CNI and Skiff. `$0` is its folder. */
const setup = `
mount -t proc proc /proc
mount --rbind /sys/fs/cgroup "$0/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$0/cgroup" /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount --bind "$0/cni" /var/lib/cni
mount --bind "$0/skiff" /var/lib/skiff
ip link set lo up
echo ready
while :; do sleep 1000; done
`;
