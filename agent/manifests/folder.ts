import { type FSWatcher, watch } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "#api";
import { aborted, type Clock, messageOf, type Timer } from "#base";
import { longestManifest, type ManifestFault, readManifest } from "./manifest.ts";

export interface SourceOptions {
  /** The node's name. */
  node: string;
  clock: Clock;
  /** Called with all pods of the source after each reading. */
  update(pods: Pod[]): void;
  /** Called with the faults of each reading. */
  faults(faults: ManifestFault[]): void;
}

/** A source that is followed. `read` resolves after its first successful reading. */
export interface Source {
  read: Promise<void>;
  stop(): Promise<void>;
}

/** How often the folder is read without a notice of a change: upstream's fileCheckFrequency. */
const pollMilliseconds = 20_000;
/** A file is read so long after a change: an editor may be writing it. */
const settleMilliseconds = 200;

interface Known {
  version: string;
  pods: Pod[];
}

/**
 * Follows the manifests of a folder, or one file: one Pod in each file whose name does not begin with a dot. Folders
 * inside are not read. A folder that does not exist has no pods. While a file is malformed, its last good version
 * counts; upstream's kubelet would end its pod.
 */
export function followFolder(path: string, options: SourceOptions): Source {
  const folder = new Folder(path, options);
  return { read: folder.read, stop: () => folder.stop() };
}

class Folder {
  readonly read: Promise<void>;
  readonly #path: string;
  readonly #options: SourceOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #first = Promise.withResolvers<void>();
  #known = new Map<string, Known>();
  #watcher: FSWatcher | undefined;
  #isChanged = false;
  #wake: (() => void) | undefined;

  constructor(path: string, options: SourceOptions) {
    this.#path = path;
    this.#options = options;
    this.read = this.#first.promise;
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#watcher?.close();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#watch();
      this.#isChanged = false;
      const faults: ManifestFault[] = [];
      try {
        this.#options.update(await this.#readAll(faults));
        this.#first.resolve();
      } catch (error) {
        faults.push({ place: this.#path, message: messageOf(error) });
      }
      this.#options.faults(faults);
      await this.#changed();
    }
  }

  /** Resolves when something has changed since the last reading began, or it is time to look again. */
  async #changed(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const noticed = Promise.withResolvers<void>();
    const poll: Timer = clock.timer(pollMilliseconds, noticed.resolve);
    this.#wake = noticed.resolve;
    if (!this.#isChanged) await Promise.race([noticed.promise, aborted(signal)]);
    poll.cancel();
    if (!this.#isChanged || signal.aborted) return;
    const settled = Promise.withResolvers<void>();
    const pause = clock.timer(settleMilliseconds, settled.resolve);
    await Promise.race([settled.promise, aborted(signal)]);
    pause.cancel();
  }

  #notice(): void {
    this.#isChanged = true;
    this.#wake?.();
  }

  /** Watches the folder if it exists; otherwise only polling notices it. */
  #watch(): void {
    if (this.#watcher || this.#stopping.signal.aborted) return;
    try {
      const watcher = watch(this.#path, { persistent: false }, () => this.#notice());
      watcher.on("error", () => this.#unwatch(watcher));
      this.#watcher = watcher;
    } catch {
      // It does not exist yet.
    }
  }

  #unwatch(watcher: FSWatcher): void {
    watcher.close();
    if (this.#watcher === watcher) this.#watcher = undefined;
  }

  async #readAll(faults: ManifestFault[]): Promise<Pod[]> {
    const next = new Map<string, Known>();
    for (const path of await this.#files()) {
      const before = this.#known.get(path);
      try {
        next.set(path, await this.#readFile(path, before));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
        faults.push({ place: path, message: messageOf(error) });
        if (before) next.set(path, { ...before, version: "" });
      }
    }
    this.#known = next;
    return [...next.values()].flatMap(({ pods }) => pods);
  }

  async #files(): Promise<string[]> {
    const found = await stat(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      // A folder that is created again has another watcher.
      if (this.#watcher) this.#unwatch(this.#watcher);
    });
    if (!found) return [];
    if (found.isFile()) return [this.#path];
    if (!found.isDirectory()) throw new Error("it is neither a folder nor a file");
    const names = (await readdir(this.#path)).filter((name) => !name.startsWith("."));
    return names.sort().map((name) => join(this.#path, name));
  }

  /** Reads a file unless it is the version that is known. */
  async #readFile(path: string, before: Known | undefined): Promise<Known> {
    const file = await open(path);
    try {
      const found = await file.stat();
      if (found.isDirectory()) throw new Error("is a folder; manifests are read from the folder above only");
      if (!found.isFile()) throw new Error("is not a regular file");
      const { ino, mtimeMs, size } = found;
      if (size > longestManifest) throw new Error(`has more than ${longestManifest} bytes`);
      const version = `${ino}:${mtimeMs}:${size}`;
      if (before?.version === version) return before;
      const pods = await readManifest(await file.readFile(), { source: "file", place: path, node: this.#options.node });
      return { version, pods };
    } finally {
      await file.close();
    }
  }
}
