import { createHash } from "node:crypto";
import { readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Pod, Volume } from "#api";
import { atomicWrite, dataLink, type Payload } from "./atomic.ts";
import { ensureMemory, memoryFolder } from "./memory.ts";
import { type PayloadSource, payloadOf } from "./payload.ts";

export interface PayloadVolumesOptions extends PayloadSource {
  /** The parent of pods' folders. */
  folder: string;
  /** Secrets and tokens are written to a file system in memory. */
  memory: boolean;
}

export const isPayload = (volume: Volume): boolean =>
  !!(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

/** Whether its content must not be stored on a disk. */
const isSecret = ({ secret, projected }: Volume): boolean =>
  secret !== undefined ||
  (projected?.sources ?? []).some((source) => source.secret !== undefined || source.serviceAccountToken !== undefined);

/** Volumes whose files the agent writes: configMap, secret, downwardAPI and projected. */
export class PayloadVolumes {
  readonly #options: PayloadVolumesOptions;
  /** What this process has written, by the pod's uid and the volume's name. */
  readonly #written = new Map<string, Map<string, { path: string; digest: string }>>();

  constructor(options: PayloadVolumesOptions) {
    this.#options = options;
  }

  /**
   * Writes the volume's files if they have changed. Resolves with its path: `own`, which is below the pod's folder, or
   * one in memory. `objects` are read instead of the source's own. Throws VolumeError where an object or a key does not
   * exist.
   */
  async write(
    pod: Pod,
    volume: Volume,
    own: string,
    objects?: Pick<PayloadSource, "configMap" | "secret">,
  ): Promise<string> {
    const uid = pod.metadata.uid ?? "";
    const group = pod.spec?.securityContext?.fsGroup;
    const payload = await payloadOf(pod, volume, { ...this.#options, ...objects });
    const digest = digestOf(payload, group);
    const before = this.#written.get(uid)?.get(volume.name);
    if (before?.digest === digest && (await isWritten(before.path))) return before.path;
    const path = await this.#place(uid, volume, own);
    await atomicWrite(path, payload, group);
    const ofPod = this.#written.get(uid) ?? new Map<string, { path: string; digest: string }>();
    this.#written.set(uid, ofPod.set(volume.name, { path, digest }));
    return path;
  }

  /** The folder of the pod's volumes in memory, by their names. */
  folderOf(uid: string): string {
    return join(memoryFolder(this.#options.folder), uid);
  }

  /** Removes what the pod has in memory. Idempotent. */
  async remove(uid: string): Promise<void> {
    this.#written.delete(uid);
    await rm(this.folderOf(uid), { recursive: true, force: true });
  }

  /** Uids of pods with volumes in memory. */
  list(): Promise<string[]> {
    return readdir(memoryFolder(this.#options.folder)).catch(() => []);
  }

  /** Volumes that an earlier version of the agent has in the pod's folder stay there: containers may use them. */
  async #place(uid: string, volume: Volume, own: string): Promise<string> {
    const { folder, memory } = this.#options;
    if (!memory || !isSecret(volume)) return own;
    if ((await readdir(own).catch(() => [])).length > 0) return own;
    await ensureMemory(folder);
    return join(this.folderOf(uid), volume.name);
  }
}

const isWritten = (path: string): Promise<boolean> =>
  readlink(join(path, dataLink)).then(
    () => true,
    () => false,
  );

function digestOf(payload: Payload, group: number | undefined): string {
  const hash = createHash("sha256").update(`${group ?? ""}`);
  for (const [path, { bytes, mode, user }] of Object.entries(payload)) {
    hash.update(`\n${JSON.stringify([path, mode, user ?? null, bytes.length])}\n`).update(bytes);
  }
  return hash.digest("base64");
}
