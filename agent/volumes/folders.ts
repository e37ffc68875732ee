import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Creates a folder and its missing parents, as Go's os.MkdirAll. Throws the file system's error. Node's own
 * `recursive` never ends where a folder cannot be created in an existing one, such as below /proc (ENOENT; seen with
 * Node 20.20 and 24.21).
 */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const parent = dirname(path);
    if (codeOf(error) !== "ENOENT" || parent === path || (await isFolder(parent))) {
      if (codeOf(error) === "EEXIST" && (await isFolder(path))) return;
      throw error;
    }
    await makeFolders(parent, mode);
    await makeFolders(path, mode);
  }
}

/** As makeFolders. */
export function makeFoldersSync(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const parent = dirname(path);
    if (codeOf(error) !== "ENOENT" || parent === path || isFolderSync(parent)) {
      if (codeOf(error) === "EEXIST" && isFolderSync(path)) return;
      throw error;
    }
    makeFoldersSync(parent, mode);
    makeFoldersSync(path, mode);
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

const isFolderSync = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
