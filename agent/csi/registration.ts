import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Channel, compileServices } from "#agent/grpc";
import { aborted, type Clock, type Log, messageOf, type Timer, within } from "#base";
import type { Drivers, PluginInfo } from "./drivers.ts";
import { registration } from "./tables.ts";

export interface RegistrationOptions {
  /** The folder of registrars' sockets. */
  folder: string;
  drivers: Drivers;
  clock: Clock;
  log: Log;
}

/** How often the folder is read without a notice of a change. */
const pollMilliseconds = 10_000;
/** How long the start waits for the drivers that are there. */
const startMilliseconds = 2000;
/** Upstream's dial and GetInfo take a second at most, each. */
const infoMilliseconds = 2000;
const notifyMilliseconds = 5000;
/** The back-off between failed registrations (upstream's exponentialbackoff). */
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 122_000;

const method = compileServices(registration);

interface Plugin {
  /** Changes when the socket is created again. */
  identity: string;
  /** Set once it is registered. */
  name?: string;
  /** What failed, so that it is logged once. */
  fault?: string;
  delay: number;
  retryAt: number;
  /** A registration or its end that is running. */
  busy: boolean;
}

/**
 * Follows the folder in which registrars put their sockets, as the kubelet's plugin manager: a new socket's driver is
 * registered, that of a removed socket is not registered any more. A registrar or a driver that hangs holds up only
 * itself.
 */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #stopping = new AbortController();
  readonly #plugins = new Map<string, Plugin>();
  #watcher: FSWatcher | undefined;
  #wake: (() => void) | undefined;
  #isChanged = false;
  #isPruned = false;
  #running: Promise<void> | undefined;
  readonly #tried = Promise.withResolvers<void>();

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** Resolves once each socket that is present has been tried, so that pods find their drivers; soon, if one hangs. */
  async start(): Promise<{ stop(): Promise<void> }> {
    this.#running = this.#follow();
    await within(this.#options.clock, startMilliseconds, this.#tried.promise);
    return { stop: () => this.#stop() };
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#watcher?.close();
    await this.#running;
    this.#options.drivers.close();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    const { folder, log } = this.#options;
    while (!signal.aborted) {
      this.#isChanged = false;
      try {
        await mkdir(folder, { recursive: true, mode: 0o755 });
        this.#watch();
        this.#compare(await socketsIn(folder));
      } catch (error) {
        log.warn("CSI drivers' sockets could not be read", { folder, error: messageOf(error) });
      }
      // The node may not be registered yet; the next reading tries again.
      await this.#prune().catch(() => {});
      if (![...this.#plugins.values()].some(({ busy }) => busy)) this.#tried.resolve();
      await this.#changed();
    }
  }

  /** Starts what the difference between the folder and the known sockets requires. */
  #compare(sockets: ReadonlyMap<string, string>): void {
    const now = this.#options.clock.now();
    for (const [socket, plugin] of this.#plugins) {
      if (plugin.busy || sockets.get(socket) === plugin.identity) continue;
      if (plugin.name === undefined) this.#plugins.delete(socket);
      else void this.#end(socket, plugin);
    }
    for (const [socket, identity] of sockets) {
      const known = this.#plugins.get(socket);
      if (known && (known.busy || known.name !== undefined || known.retryAt > now)) continue;
      const plugin = known ?? { identity, delay: firstRetryMilliseconds, retryAt: 0, busy: false };
      this.#plugins.set(socket, plugin);
      void this.#begin(socket, plugin);
    }
  }

  async #begin(socket: string, plugin: Plugin): Promise<void> {
    const { log, clock } = this.#options;
    plugin.busy = true;
    try {
      plugin.name = await this.#register(socket);
      log.info("a CSI driver has been registered", { driver: plugin.name, socket });
    } catch (error) {
      const fault = messageOf(error);
      if (plugin.fault !== fault) log.warn("a CSI driver could not be registered", { socket, error: fault });
      plugin.fault = fault;
      plugin.retryAt = clock.now() + plugin.delay;
      plugin.delay = Math.min(plugin.delay * 2, lastRetryMilliseconds);
    }
    plugin.busy = false;
    this.#notice();
  }

  async #end(socket: string, plugin: Plugin): Promise<void> {
    plugin.busy = true;
    await this.#options.drivers.deregister(plugin.name ?? "", socket);
    this.#options.log.info("a CSI driver is not registered any more", { driver: plugin.name, socket });
    this.#plugins.delete(socket);
    this.#notice();
  }

  /** Asks the registrar for its driver and registers it. Resolves with the driver's name. */
  async #register(socket: string): Promise<string> {
    const { drivers } = this.#options;
    const channel = new Channel(socket);
    try {
      const plugin = await channel.call<PluginInfo>(
        method("Registration", "GetInfo"),
        {},
        {
          timeoutMilliseconds: infoMilliseconds,
        },
      );
      const notify = (error: string) =>
        channel.call(
          method("Registration", "NotifyRegistrationStatus"),
          { plugin_registered: error === "", error },
          {
            timeoutMilliseconds: notifyMilliseconds,
          },
        );
      const refuse = async (text: string): Promise<never> => {
        await notify(`RegisterPlugin error -- ${text}`);
        throw new Error(text);
      };
      if (plugin.type !== "CSIPlugin") {
        await refuse(`no handler registered for plugin type: ${plugin.type} at socket ${socket}`);
      }
      const refusal = drivers.refusal(plugin);
      if (refusal !== undefined) await refuse(`plugin validation failed with err: ${refusal}`);
      try {
        await drivers.register(plugin, socket);
      } catch (error) {
        await refuse(`plugin registration failed with err: ${messageOf(error)}`);
      }
      try {
        await notify("");
      } catch (error) {
        await drivers.deregister(plugin.name, socket);
        throw error;
      }
      return plugin.name;
    } finally {
      channel.close();
    }
  }

  /** Once, when the driver of each present socket is known. */
  async #prune(): Promise<void> {
    if (this.#isPruned || [...this.#plugins.values()].some(({ name }) => name === undefined)) return;
    await this.#options.drivers.prune();
    this.#isPruned = true;
  }

  /** Resolves when something has changed since the last reading began, or something is due. */
  async #changed(): Promise<void> {
    const { clock } = this.#options;
    if (this.#isChanged) return;
    const noticed = Promise.withResolvers<void>();
    this.#wake = noticed.resolve;
    const waits = [...this.#plugins.values()].filter(({ name, busy }) => name === undefined && !busy);
    const due = Math.min(...waits.map(({ retryAt }) => retryAt - clock.now()), pollMilliseconds);
    const poll: Timer = clock.timer(Math.max(due, 10), noticed.resolve);
    await Promise.race([noticed.promise, aborted(this.#stopping.signal)]);
    poll.cancel();
  }

  #notice(): void {
    this.#isChanged = true;
    this.#wake?.();
  }

  /** A folder that cannot be watched, or was removed, is only polled. */
  #watch(): void {
    if (this.#watcher || this.#stopping.signal.aborted) return;
    try {
      const watcher = watch(this.#options.folder, { persistent: false, recursive: true }, () => this.#notice());
      const drop = (): void => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      };
      watcher.on("error", drop);
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }
}

/** Sockets in a folder and the folders inside, with what identifies each. Names that begin with a dot are left out. */
async function socketsIn(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      for (const [inner, identity] of await socketsIn(path).catch(() => new Map<string, string>())) {
        found.set(inner, identity);
      }
    } else if (entry.isSocket()) {
      const file = await stat(path).catch(() => undefined);
      if (file) found.set(path, `${file.dev}/${file.ino}/${file.ctimeMs}`);
    }
  }
  return found;
}
