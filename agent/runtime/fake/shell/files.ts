import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { posix } from "node:path";

/** An error with the text of a shell's tools, such as `/x: No such file or directory`. */
export class FileError extends Error {}

/**
 * The files of one fake container: written files are in memory, mounted files on the host. A container that never
 * writes uses no memory.
 */
export class Files {
  readonly #mounts: { at: string; from: string; readOnly: boolean }[];
  #written: Map<string, Uint8Array | "folder"> | undefined;

  constructor(mounts: { at: string; from: string; readOnly: boolean }[]) {
    this.#mounts = [...mounts].sort((a, b) => b.at.length - a.at.length);
  }

  resolve(path: string, cwd: string): string {
    return posix.resolve(cwd || "/", path);
  }

  read(path: string, cwd: string): Uint8Array {
    const full = this.resolve(path, cwd);
    if (full === "/dev/null") return new Uint8Array();
    const outside = this.#outside(full);
    if (outside) return onDisk(path, () => readFileSync(outside.path));
    const found = this.#written?.get(full);
    if (found === "folder") throw new FileError(`${path}: Is a directory`);
    if (!found) throw new FileError(`${path}: No such file or directory`);
    return found;
  }

  write(path: string, cwd: string, bytes: Uint8Array): void {
    const full = this.resolve(path, cwd);
    if (full === "/dev/null") return;
    const outside = this.#outside(full);
    if (outside?.readOnly) throw new FileError(`${path}: Read-only file system`);
    if (outside) {
      onDisk(path, () => writeFileSync(outside.path, bytes));
      return;
    }
    this.#written ??= new Map();
    this.#written.set(full, bytes);
  }

  append(path: string, cwd: string, bytes: Uint8Array): void {
    const full = this.resolve(path, cwd);
    if (full === "/dev/null") return;
    const outside = this.#outside(full);
    if (outside) {
      onDisk(path, () => appendFileSync(outside.path, bytes));
      return;
    }
    const before = this.#written?.get(full);
    this.write(path, cwd, before && before !== "folder" ? Buffer.concat([before, bytes]) : bytes);
  }

  makeFolder(path: string, cwd: string): void {
    const full = this.resolve(path, cwd);
    const outside = this.#outside(full);
    if (outside) {
      onDisk(path, () => mkdirSync(outside.path, { recursive: true }));
      return;
    }
    this.#written ??= new Map();
    for (let folder = full; folder !== "/"; folder = posix.dirname(folder)) this.#written.set(folder, "folder");
  }

  remove(path: string, cwd: string): void {
    const full = this.resolve(path, cwd);
    const outside = this.#outside(full);
    if (outside) {
      onDisk(path, () => rmSync(outside.path, { recursive: true }));
      return;
    }
    for (const name of this.#written?.keys() ?? []) {
      if (name === full || name.startsWith(`${full}/`)) this.#written?.delete(name);
    }
  }

  /** `file`, `folder`, or undefined when it does not exist. */
  kind(path: string, cwd: string): "file" | "folder" | undefined {
    const full = this.resolve(path, cwd);
    const outside = this.#outside(full);
    if (outside) {
      const found = statSync(outside.path, { throwIfNoEntry: false });
      return found ? (found.isDirectory() ? "folder" : "file") : undefined;
    }
    const found = this.#written?.get(full);
    if (found) return found === "folder" ? "folder" : "file";
    return this.list(path, cwd).length > 0 || full === "/" || full === "/tmp" ? "folder" : undefined;
  }

  /** Names in a folder, sorted. */
  list(path: string, cwd: string): string[] {
    const full = this.resolve(path, cwd);
    const outside = this.#outside(full);
    if (outside) return onDisk(path, () => readdirSync(outside.path).sort());
    const prefix = full === "/" ? "/" : `${full}/`;
    const names = new Set<string>();
    for (const known of [...(this.#written?.keys() ?? []), ...this.#mounts.map((mount) => mount.at)]) {
      if (known.startsWith(prefix) && known !== prefix) names.add(known.slice(prefix.length).split("/")[0]!);
    }
    return [...names].sort();
  }

  #outside(full: string): { path: string; readOnly: boolean } | undefined {
    const mount = this.#mounts.find(({ at }) => full === at || full.startsWith(`${at}/`));
    return mount && { path: posix.join(mount.from, full.slice(mount.at.length)), readOnly: mount.readOnly };
  }
}

function onDisk<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const words: Record<string, string> = { ENOENT: "No such file or directory", EISDIR: "Is a directory" };
    throw new FileError(`${path}: ${words[code ?? ""] ?? (error as Error).message}`);
  }
}
