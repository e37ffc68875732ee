import { open, stat } from "node:fs/promises";
import type { HostPathVolumeSource } from "#api";
import { VolumeError } from "./error.ts";
import { makeFolders } from "./folders.ts";

type Kind = "directory" | "file" | "socket" | "characterDevice" | "blockDevice";

const types: Record<string, { kind: Kind; text: string; create?: "folder" | "file" }> = {
  DirectoryOrCreate: { kind: "directory", text: "a directory", create: "folder" },
  Directory: { kind: "directory", text: "a directory" },
  FileOrCreate: { kind: "file", text: "a file", create: "file" },
  File: { kind: "file", text: "a file" },
  Socket: { kind: "socket", text: "a socket file" },
  CharDevice: { kind: "characterDevice", text: "a character device" },
  BlockDevice: { kind: "blockDevice", text: "a block device" },
};

async function kindOf(path: string): Promise<Kind | "other" | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (found.isDirectory()) return "directory";
  if (found.isFile()) return "file";
  if (found.isSocket()) return "socket";
  if (found.isCharacterDevice()) return "characterDevice";
  return found.isBlockDevice() ? "blockDevice" : "other";
}

/**
 * Checks that the host's path is of the volume's type, and creates it for the `…OrCreate` types. Throws VolumeError.
 */
export async function prepareHostPath({ path, type = "" }: HostPathVolumeSource): Promise<void> {
  if (type === "") return;
  const expected = types[type];
  if (!expected) throw new VolumeError(`hostPath type ${type} is not supported`);
  let kind = await kindOf(path);
  if (kind === undefined && expected.create === "folder") await makeFolders(path, 0o755);
  if (kind === undefined && expected.create === "file") await (await open(path, "a", 0o644)).close();
  if (kind === undefined && expected.create) kind = await kindOf(path);
  if (kind !== expected.kind) throw new VolumeError(`hostPath type check failed: ${path} is not ${expected.text}`);
}
