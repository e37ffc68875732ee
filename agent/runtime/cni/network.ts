import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { RuntimeError } from "#agent/runtime";

export interface CniOptions {
  /** A network configuration list as JSON. */
  config: string;
  pluginFolder: string;
  /** Where results are stored. Defaults to libcni's folder. */
  results?: string;
}

export interface CniPort {
  protocol: string;
  containerPort: number;
  hostPort: number;
  hostIP: string;
}

interface NetworkConfig {
  cniVersion: string;
  name: string;
  plugins: ({ type: string; capabilities?: Record<string, boolean> } & Record<string, unknown>)[];
}

interface CniResult {
  ips?: { address: string }[];
  [member: string]: unknown;
}

/** What libcni stores of an attachment (its cachedInfo). */
interface Stored {
  containerId: string;
  capabilityArgs?: Record<string, unknown>;
  result: CniResult;
}

const interfaceName = "eth0";

/** One CNI network of this machine. Every call is idempotent, as the plugins are. */
export class CniNetwork {
  readonly #config: NetworkConfig;
  readonly #options: Required<CniOptions>;

  constructor(options: CniOptions) {
    this.#config = JSON.parse(options.config) as NetworkConfig;
    this.#options = { results: "/var/lib/cni/results", ...options };
  }

  /**
   * Attaches a network namespace under the id of its sandbox. Resolves with its addresses once the result is stored;
   * without a stored result an attachment is not complete. Throws `network` with the plugin's message, after which
   * everything is detached again.
   */
  async attach(id: string, namespace: string, ports: readonly CniPort[]): Promise<string[]> {
    const capabilityArgs = { portMappings: ports };
    try {
      await this.#run({ type: "loopback" }, { command: "ADD", id, namespace, device: "lo" });
      let result: CniResult = {};
      for (const plugin of this.#config.plugins) {
        const previous = Object.keys(result).length === 0 ? {} : { prevResult: result };
        const extra = { ...runtimeConfig(plugin, capabilityArgs), ...previous };
        result = JSON.parse(
          await this.#run({ ...plugin, ...extra }, { command: "ADD", id, namespace, device: interfaceName }),
        ) as CniResult;
      }
      await this.#store({ containerId: id, capabilityArgs, result });
      return addressesOf(result);
    } catch (error) {
      await this.detach(id, namespace).catch(() => {});
      throw error;
    }
  }

  /** Detaches it and frees its addresses. `namespace` is "" when it no longer exists. */
  async detach(id: string, namespace: string): Promise<void> {
    const stored = await this.#read(id);
    for (const plugin of this.#config.plugins.toReversed()) {
      const extra = {
        ...runtimeConfig(plugin, stored?.capabilityArgs ?? {}),
        ...(stored ? { prevResult: stored.result } : {}),
      };
      await this.#run({ ...plugin, ...extra }, { command: "DEL", id, namespace, device: interfaceName });
    }
    await rm(this.#pathOf(id), { force: true });
  }

  /** The addresses of a complete attachment; undefined: there is none. */
  async addresses(id: string): Promise<string[] | undefined> {
    const stored = await this.#read(id);
    return stored && addressesOf(stored.result);
  }

  /** The ids of all sandboxes that have an address or a result, complete or not. */
  async attached(): Promise<string[]> {
    const prefix = `${this.#config.name}-`;
    const suffix = `-${interfaceName}`;
    const names = await readdir(this.#options.results).catch(() => [] as string[]);
    const stored = names
      .filter((name) => name.startsWith(prefix) && name.endsWith(suffix))
      .map((name) => name.slice(prefix.length, -suffix.length));
    return [...new Set([...stored, ...(await this.#leased())])];
  }

  /** The ids that hold an address of the host-local plugin: its files have the address as name and the id in them. */
  async #leased(): Promise<string[]> {
    const folders = this.#config.plugins.map(({ ipam }) => (ipam as { dataDir?: string } | undefined)?.dataDir);
    const ids: string[] = [];
    for (const folder of folders) {
      if (folder === undefined) continue;
      const own = join(folder, this.#config.name);
      for (const name of await readdir(own).catch(() => [] as string[])) {
        if (!/^[\d.]+$|:/.test(name)) continue;
        const [id = ""] = (await readFile(join(own, name), "utf8").catch(() => "")).split(/\s/);
        if (id !== "") ids.push(id);
      }
    }
    return ids;
  }

  async #run(plugin: { type: string }, call: PluginCall): Promise<string> {
    const { cniVersion, name } = this.#config;
    return runPlugin(join(this.#options.pluginFolder, plugin.type), this.#options.pluginFolder, {
      ...call,
      config: { cniVersion, name, ...plugin },
    });
  }

  #pathOf(id: string): string {
    return join(this.#options.results, `${this.#config.name}-${id}-${interfaceName}`);
  }

  async #read(id: string): Promise<Stored | undefined> {
    try {
      return JSON.parse(await readFile(this.#pathOf(id), "utf8")) as Stored;
    } catch {
      return undefined;
    }
  }

  async #store(stored: Stored): Promise<void> {
    const path = this.#pathOf(stored.containerId);
    await mkdir(dirname(path), { recursive: true });
    const { name } = this.#config;
    const config = Buffer.from(JSON.stringify(this.#config)).toString("base64");
    const whole = { kind: "cniCacheV1", config, ifName: interfaceName, networkName: name, ...stored };
    // The name is one that no attachment has, so that what a crash leaves is not read.
    await writeFile(`${path}.new`, JSON.stringify(whole), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

const addressesOf = ({ ips = [] }: CniResult): string[] => ips.map(({ address }) => address.split("/")[0]!);

/** The arguments of the capabilities that a plugin has. */
function runtimeConfig(
  { capabilities = {} }: { capabilities?: Record<string, boolean> },
  args: Record<string, unknown>,
): object {
  const given = Object.entries(args).filter(([name]) => capabilities[name]);
  return given.length === 0 ? {} : { runtimeConfig: Object.fromEntries(given) };
}

interface PluginCall {
  command: "ADD" | "DEL";
  id: string;
  namespace: string;
  device: string;
}

/** Runs one plugin by the CNI specification. Throws `network` with its message. */
async function runPlugin(program: string, folder: string, call: PluginCall & { config: object }): Promise<string> {
  const child = spawn(program, [], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      CNI_COMMAND: call.command,
      CNI_CONTAINERID: call.id,
      CNI_NETNS: call.namespace,
      CNI_IFNAME: call.device,
      CNI_PATH: folder,
      CNI_ARGS: "IgnoreUnknown=1",
    },
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(call.config));
  try {
    const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (code === 0) return out;
    throw new RuntimeError("network", `CNI plugin ${program} ${call.command}: ${messageIn(out) || err.trim() || code}`);
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError("network", `CNI plugin ${program} cannot be run`, { cause: error });
  }
}

function messageIn(out: string): string {
  try {
    const { msg, details } = JSON.parse(out) as { msg?: string; details?: string };
    return [msg, details].filter(Boolean).join(": ");
  } catch {
    return out.trim();
  }
}
