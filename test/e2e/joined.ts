import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox } from "#agent/runtime";
import { containerdRuntime } from "#agent/runtime/containerd";
import { pushStandIns } from "#agent/runtime/oci";
import { isConditionTrue, type Node, nodes, type Pod, pods } from "#api";
import { ignoreNotFound, systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { until } from "./client.ts";
import { type Host, type HostProgram, type LabNetwork, Laboratory } from "./hosts.ts";
import { openRegistry, type Registry } from "./registry.ts";

export interface JoinedOptions {
  /** More words of `skiff up` and `skiff join` on a machine, by its name. */
  words?: Readonly<Record<string, readonly string[]>>;
  /** The registry whose images are served. Default: docker.io. */
  registry?: string;
  /** Pushes the images to a URL. Default: the stand-ins. */
  fill?(url: string): Promise<void>;
}

/** A cluster of machines: `one` has the control plane, and the others have joined. Each node has its machine's name. */
export class JoinedCluster {
  readonly laboratory: Laboratory;
  readonly registry: Registry;
  readonly hosts: Readonly<Record<string, Host>>;
  readonly server: string;
  #client: HttpClient;
  readonly #options: JoinedOptions;

  private constructor(
    parts: Pick<JoinedCluster, "laboratory" | "registry" | "hosts" | "server">,
    options: JoinedOptions,
  ) {
    const { laboratory, registry, hosts, server } = parts;
    this.laboratory = laboratory;
    this.registry = registry;
    this.hosts = hosts;
    this.server = server;
    this.#options = options;
    this.#client = this.#connect();
  }

  #connect(): HttpClient {
    const pki = (file: string) => readFileSync(join(this.hosts["one"]!.dataDir, "pki", file), "utf8");
    const certificate = { cert: pki("admin.crt"), key: pki("admin.key") };
    return httpClient({ server: this.server, ca: pki("ca.crt"), certificate });
  }

  /** The administrator's client. */
  get client(): HttpClient {
    return this.#client;
  }

  /** Resolves when all nodes are ready. `networks` names each machine's network. */
  static async open(
    networks: Readonly<Record<string, LabNetwork>>,
    options: JoinedOptions = {},
  ): Promise<JoinedCluster> {
    const laboratory = await Laboratory.open();
    const registry = await openRegistry(laboratory.ownAddress);
    try {
      await (options.fill ?? pushStandIns)(`http://${registry.address}`);
      const hosts: Record<string, Host> = {};
      for (const [name, network] of Object.entries(networks)) hosts[name] = await laboratory.host(name, network);
      const one = hosts["one"]!;
      await one.start("Skiff is ready", ...upWords(registry, options));
      const { text } = await one.finished("token", "create");
      const words = text.trim().split(" ").slice(2);
      const server = words[words.indexOf("--server") + 1]!;
      const cluster = new JoinedCluster({ laboratory, registry, hosts, server }, options);
      const others = Object.keys(hosts).filter((name) => name !== "one");
      await Promise.all(others.map((name) => cluster.join(name, ...words)));
      for (const name of Object.keys(hosts)) await until(() => cluster.isReady(name), 120);
      return cluster;
    } catch (error) {
      await laboratory.close();
      await registry.stop();
      throw error;
    }
  }

  /** Starts the control plane again, after its processes or its machine have been killed. */
  async up(): Promise<void> {
    await this.hosts["one"]!.start("Skiff is ready", ...upWords(this.registry, this.#options));
    // Connections to the former process may still be open.
    this.#client.close();
    this.#client = this.#connect();
  }

  /** Starts the agent of a machine, with the words of a token at its first start. */
  join(name: string, ...words: string[]): Promise<HostProgram> {
    const given = [...words, ...wordsOf(name, this.registry, this.#options)];
    return this.hosts[name]!.start("This machine is the node", "join", ...given);
  }

  /** The path of a kubeconfig of the administrator, by which this machine reaches the server. */
  kubeconfig(): string {
    const path = join(this.laboratory.folder, "kubeconfig");
    const text = readFileSync(join(this.hosts["one"]!.dataDir, "kubeconfig"), "utf8");
    writeFileSync(path, text.replace(/https:\/\/127\.0\.0\.1:\d+/g, this.server), { mode: 0o600 });
    return path;
  }

  async isReady(name: string): Promise<boolean> {
    const node = await ignoreNotFound(this.client.get(nodes, { name }));
    return isConditionTrue(node?.status?.conditions, "Ready");
  }

  node(name: string): Promise<Node> {
    return this.client.get(nodes, { name });
  }

  /** Creates a pod on a node that answers with its own name and its caller's address. */
  createWeb(node: string): Promise<Pod> {
    const metadata = { name: `web-${node}`, namespace: "default", labels: { app: "web" } };
    const pod = { metadata, spec: { ...webSpec(), nodeName: node } };
    // Its service account may not exist yet.
    return until(() => this.client.create(pods, pod as unknown as Pod).catch(() => undefined));
  }

  /** The output of a command in a pod; its error when it fails. */
  inPod(pod: string, ...command: string[]): string {
    const words = ["--kubeconfig", this.kubeconfig(), "exec", pod, "--", ...command];
    try {
      return execFileSync(process.env["KUBECTL"] ?? "kubectl", words, {
        encoding: "utf8",
        timeout: 10_000,
        stdio: ["ignore", "pipe", "pipe"],
      }).trim();
    } catch (error) {
      return (error as { stderr?: string }).stderr ?? String(error);
    }
  }

  /** The answer of such a pod, or of a service of them, to a pod. */
  fetchIn(pod: string, address: string, port = 8080): string {
    return this.inPod(pod, "wget", "-q", "-O-", `http://${address}:${port}/cgi-bin/who`);
  }

  /** The pods that a machine's runtime runs: their names with the identities of their running containers, sorted. */
  async running(name: string): Promise<string[]> {
    const lines = (await this.#listed(name)).flatMap((sandbox) =>
      sandbox.containers.filter(({ state }) => state === "running").map(({ id }) => `${sandbox.name} ${id}`),
    );
    return lines.toSorted();
  }

  /** All that a machine's runtime has of pods, ended or not: their names with the identities of their sandboxes, sorted. */
  async sandboxes(name: string): Promise<string[]> {
    return (await this.#listed(name)).map((sandbox) => `${sandbox.name} ${sandbox.state} ${sandbox.id}`).toSorted();
  }

  async #listed(name: string): Promise<Sandbox[]> {
    const socket = join(this.hosts[name]!.dataDir, "agents", "containerd", "containerd", "containerd.sock");
    const runtime = containerdRuntime({ socket, owner: name, clock: systemClock });
    try {
      return await runtime.pods.list();
    } finally {
      await runtime.close();
    }
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.laboratory.close();
    await this.registry.stop();
  }
}

const wordsOf = (name: string, registry: Registry, options: JoinedOptions): string[] => [
  "--node-name",
  name,
  "--registry-mirror",
  `${options.registry ?? "docker.io"}=http://${registry.address}`,
  ...(options.words?.[name] ?? []),
];

const upWords = (registry: Registry, options: JoinedOptions): string[] => [
  ...["up", "--bind", "0.0.0.0"],
  ...wordsOf("one", registry, options),
];

/** The spec of a pod that answers with its own name and its caller's address. */
export function webSpec() {
  const head = 'printf "Content-Type: text/plain\\r\\n\\r\\n"';
  const answer = `#!/bin/sh\n${head}\necho $(hostname) $REMOTE_ADDR\n`;
  const script = `mkdir -p /www/cgi-bin && echo '${answer}' >/www/cgi-bin/who && chmod +x /www/cgi-bin/who &&
    head -c 3000000 /dev/zero >/www/large && exec httpd -f -p 8080 -h /www`;
  const readinessProbe = { httpGet: { port: 8080, path: "/cgi-bin/who" }, periodSeconds: 1 };
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script], readinessProbe }];
  return { terminationGracePeriodSeconds: 0, containers };
}
