import { createHash, randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { compileServices } from "#agent/grpc";
import { mountFileSystem, mountsBelow, RuntimeError } from "#agent/runtime";
import type { RuntimeChannel } from "./channel.ts";
import type { Cri } from "./cri-client.ts";
import { native } from "./native.ts";

/** CRI's own namespace. */
const namespace = "k8s.io";

/** A mount as containerd describes it. */
interface SnapshotMount {
  type: string;
  source: string;
  options: string[];
}

/** The name of the snapshot that has these layers, given by their digests (the OCI image specification's ChainID). */
export const chainId = (layers: readonly string[]): string =>
  layers.reduce(
    (parent, layer) =>
      parent === "" ? layer : `sha256:${createHash("sha256").update(`${parent} ${layer}`).digest("hex")}`,
    "",
  );

/**
 * Mounts images at folders, read-only, by containerd's own services: CRI can do it from containerd 2.1 on only. The
 * layers are those of the image, so it must stay present.
 */
export function imageMounts(channel: RuntimeChannel, cri: Cri): (imageId: string, folder: string) => Promise<void> {
  const method = compileServices(native);
  const metadata = { "containerd-namespace": namespace };
  const layersOf = async (digest: string): Promise<string[]> => {
    const parts: Uint8Array[] = [];
    const read = channel.stream<{ data: Uint8Array }>(method("content.v1.Content", "Read"), { digest }, { metadata });
    for await (const { data } of read) parts.push(data);
    const config = JSON.parse(Buffer.concat(parts).toString()) as { rootfs?: { diff_ids?: string[] } };
    return config.rootfs?.diff_ids ?? [];
  };
  return async (imageId, folder) => {
    const below = await mountsBelow(`${folder}/..`);
    if (below.includes(folder)) return;
    const snapshotter = await snapshotterOf(cri);
    const key = `skiff-${randomUUID()}`;
    const view = { snapshotter, key, parent: chainId(await layersOf(imageId)) };
    const { mounts } = await channel.call<{ mounts: SnapshotMount[] }>(method("snapshots.v1.Snapshots", "View"), view, {
      metadata,
    });
    try {
      const [first, ...others] = mounts;
      if (!first || others.length > 0) throw new RuntimeError("unsupported", `snapshotter ${snapshotter} has no mount`);
      await mkdir(folder, { recursive: true });
      await mountFileSystem(folder, first.type, first.source, [...first.options.filter((one) => one !== "rw"), "ro"]);
    } finally {
      // The mount uses the layers alone: the view itself is empty.
      await channel.call(method("snapshots.v1.Snapshots", "Remove"), { snapshotter, key }, { metadata });
    }
  };
}

/** The snapshotter of CRI's images, from the runtime's own report of its configuration. */
async function snapshotterOf(cri: Cri): Promise<string> {
  const { info } = await cri.runtime<{ info: Record<string, string> }>("Status", { verbose: true });
  const config = JSON.parse(info["config"] ?? "{}") as { containerd?: { snapshotter?: string } };
  return config.containerd?.snapshotter || "overlayfs";
}
