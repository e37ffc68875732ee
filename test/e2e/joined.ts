import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
  readonly client: HttpClient;
  readonly server: string;
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
    const pki = (file: string) => readFileSync(join(hosts["one"]!.dataDir, "pki", file), "utf8");
    const certificate = { cert: pki("admin.crt"), key: pki("admin.key") };
    this.client = httpClient({ server, ca: pki("ca.crt"), certificate });
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
      const up = ["up", "--bind", "0.0.0.0", ...wordsOf("one", registry, options)];
      await one.start("Skiff is ready", ...up);
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
    const socket = join(this.hosts[name]!.dataDir, "agents", "containerd", "containerd", "containerd.sock");
    const runtime = containerdRuntime({ socket, owner: name, clock: systemClock });
    try {
      const sandboxes = await runtime.pods.list();
      const lines = sandboxes.flatMap((sandbox) =>
        sandbox.containers.filter(({ state }) => state === "running").map(({ id }) => `${sandbox.name} ${id}`),
      );
      return lines.toSorted();
    } finally {
      await runtime.close();
    }
  }

  async close(): Promise<void> {
    this.client.close();
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
