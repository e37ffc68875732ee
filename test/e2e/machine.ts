import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { findKubectls, type Setting } from "../kubectl/runner.ts";
import { connect } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

/** `skiff up` on this machine with real containers, and a registry of the stand-ins for its images. */
export class Machine {
  readonly registry: Registry;
  /** A folder for the test's own files, and kubectl's home. */
  readonly folder: string;
  readonly #words: readonly string[];
  #skiff!: SkiffProcess;
  #client!: HttpClient;

  private constructor(registry: Registry, words: readonly string[]) {
    this.registry = registry;
    this.#words = words;
    this.folder = mkdtempSync(join(tmpdir(), "skiff-e2e-"));
  }

  /** Resolves when the cluster is ready. `words` are more words of `skiff up`; the node's name is `boat` by default. */
  static async open(words: readonly string[] = [], dataDir?: string): Promise<Machine> {
    const machine = new Machine(await startRegistry(), words);
    try {
      await machine.#start(dataDir);
      return machine;
    } catch (error) {
      await machine.registry.stop();
      rmSync(machine.folder, { recursive: true, force: true });
      throw error;
    }
  }

  async #start(dataDir: string | undefined): Promise<void> {
    const mirror = ["--registry-mirror", `docker.io=http://${this.registry.address}`];
    this.#skiff = await startSkiff([...mirror, "--node-name", "boat", ...this.#words], dataDir);
    this.#client = connect(this.#skiff.dataDir);
  }

  /** The running process, or the last one. */
  get skiff(): SkiffProcess {
    return this.#skiff;
  }

  get dataDir(): string {
    return this.#skiff.dataDir;
  }

  /** The administrator's client of the running process. */
  get client(): HttpClient {
    return this.#client;
  }

  /** The newest kubectl as the administrator. */
  get setting(): Setting {
    const path = findKubectls().at(-1) ?? "kubectl";
    const { kubeconfig } = this.#skiff;
    return { kubectl: path, kubeconfig, namespace: "default", home: this.folder, editor: "true" };
  }

  /** The process number of the agent. */
  get agent(): number {
    return (JSON.parse(readFileSync(join(this.dataDir, "running.json"), "utf8")) as { agent: number }).agent;
  }

  /** Kills the agent, and then the control plane, without notice, and starts them again. Containers keep running. */
  async crash(between: () => Promise<void> = async () => {}): Promise<void> {
    const { process: child, dataDir } = this.#skiff;
    process.kill(this.agent, "SIGKILL");
    await between();
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    this.#client.close();
    await this.#start(dataDir);
  }

  async close(): Promise<void> {
    this.#client.close();
    await skiffDown(this.#skiff);
    await this.registry.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
