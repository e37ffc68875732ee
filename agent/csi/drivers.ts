import { type Log, messageOf } from "#base";
import { Driver } from "./driver.ts";
import type { NodeObjects } from "./node-objects.ts";
import { compareVersions, highestVersion } from "./versions.ts";

interface Registered {
  driver: Driver;
  version: string;
  /** The socket over which it was registered. */
  socket: string;
}

/** What a registrar reports. */
export interface PluginInfo {
  type: string;
  name: string;
  /** The driver's own socket; "": the registrar's. */
  endpoint: string;
  supported_versions: string[];
}

export interface DriversOptions {
  objects: NodeObjects;
  log: Log;
  /** How long a call may take. Defaults to two minutes. */
  timeoutMilliseconds?: number | undefined;
}

/** The node's drivers by name. */
export class Drivers {
  readonly #registered = new Map<string, Registered>();
  readonly #options: DriversOptions;

  constructor(options: DriversOptions) {
    this.#options = options;
  }

  /** Undefined where no such driver is registered. */
  get(name: string): Driver | undefined {
    return this.#registered.get(name)?.driver;
  }

  names(): string[] {
    return [...this.#registered.keys()];
  }

  /** Why a plugin cannot be registered; undefined where it can. The words are upstream's (validateVersions). */
  refusal({ name, supported_versions: versions }: PluginInfo): string | undefined {
    const failed = `RegisterPlugin for CSI driver "${name}" failed.`;
    if (versions.length === 0) return `${failed} Plugin returned an empty list for supported versions`;
    const version = highestVersion(versions);
    const shown = versions.map((one) => `"${one}"`).join(" ");
    if (version === undefined) return `${failed} None of the versions specified [${shown}] are supported.`;
    const present = this.#registered.get(name);
    if (!present || compareVersions(present.version, version) < 0) return undefined;
    return `${failed} Another driver with the same name is already registered with a higher supported version: "${present.version}"`;
  }

  /** Reads the driver's facts of the node and writes them to the API. Rejects with an Error; then it is not registered. */
  async register(plugin: PluginInfo, socket: string): Promise<void> {
    const { objects, timeoutMilliseconds } = this.#options;
    const { name, supported_versions: versions } = plugin;
    const driver = new Driver(name, plugin.endpoint || socket, timeoutMilliseconds);
    const before = this.#registered.get(name);
    try {
      await objects.install(name, await driver.nodeInfo());
    } catch (error) {
      driver.close();
      // What has been written of it.
      if (!before) await this.#uninstall(name);
      throw error;
    }
    this.#registered.set(name, { driver, version: highestVersion(versions) ?? "", socket });
    before?.driver.close();
  }

  /** Reads the driver's facts of the node again and writes what has changed. Rejects with an Error. */
  async update(name: string): Promise<void> {
    const driver = this.get(name);
    if (driver) await this.#options.objects.install(name, await driver.nodeInfo());
  }

  /** The registrar's socket is gone. Another one may have registered the driver meanwhile. */
  async deregister(name: string, socket: string): Promise<void> {
    const present = this.#registered.get(name);
    if (present?.socket !== socket) return;
    this.#registered.delete(name);
    present.driver.close();
    await this.#uninstall(name);
  }

  /**
   * Creates a missing CSINode, and removes drivers from the API that are not on the node any more: they were removed
   * while no agent ran.
   */
  async prune(): Promise<void> {
    await this.#options.objects.ensure();
    for (const name of await this.#options.objects.drivers()) {
      if (!this.#registered.has(name)) await this.#options.objects.uninstall(name);
    }
  }

  close(): void {
    for (const { driver } of this.#registered.values()) driver.close();
    this.#registered.clear();
  }

  async #uninstall(name: string): Promise<void> {
    const { objects, log } = this.#options;
    await objects.uninstall(name).catch((error: unknown) => {
      log.warn("a CSI driver could not be removed from the API", { driver: name, error: messageOf(error) });
    });
  }
}
