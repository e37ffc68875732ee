import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { compileServices } from "#agent/grpc";
import { RuntimeError } from "#agent/runtime";
import type { Blob, BuiltImage } from "#agent/runtime/oci";
import { isAlreadyExists, RuntimeChannel } from "./channel.ts";
import { criClient } from "./cri-client.ts";
import { criImages } from "./images.ts";
import { native } from "./native.ts";

/** CRI's own namespace: pods cannot use images of other namespaces. */
const namespace = "k8s.io";
const chunkBytes = 1024 * 1024;
/** What an interrupted import leaves is removed after this time. */
const leaseHours = 1;

/** The time in which CRI has to learn of an imported image, and how often it is polled. */
const syncMilliseconds = { longest: 30_000, poll: 20 };

/**
 * Imports an image into containerd under a full name such as `docker.io/library/busybox:latest`. Idempotent. Resolves
 * when pods can use the image.
 */
export async function importImage(socket: string, name: string, image: BuiltImage): Promise<void> {
  const method = compileServices(native);
  const channel = new RuntimeChannel(socket);
  const id = `skiff-import-${randomUUID()}`;
  const metadata = { "containerd-namespace": namespace, "containerd-lease": id };
  try {
    const until = new Date(Date.now() + leaseHours * 3_600_000).toISOString();
    await channel.call(
      method("leases.v1.Leases", "Create"),
      { id, labels: { "containerd.io/gc.expire": until } },
      { metadata },
    );
    const write = async (blob: Blob, labels: Record<string, string> = {}): Promise<void> => {
      try {
        await channel.converse(method("content.v1.Content", "Write"), writes(blob, labels, id), { metadata });
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    };
    // The lease protects the parts from garbage collection until the image names them, the labels after that.
    for (const layer of image.layers) await write(layer);
    await write(image.config);
    const references = [image.config, ...image.layers].map(({ digest }, index) => [
      `containerd.io/gc.ref.content.${index}`,
      digest,
    ]);
    await write(image.manifest, Object.fromEntries(references));
    const { mediaType, digest, bytes } = image.manifest;
    const record = { image: { name, target: { media_type: mediaType, digest, size: bytes.length } } };
    try {
      await channel.call(method("images.v1.Images", "Create"), record, { metadata });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await channel.call(method("images.v1.Images", "Update"), record, { metadata });
    }
    await channel.call(method("leases.v1.Leases", "Delete"), { id }, { metadata });
    await waitForCri(channel, name, image.config.digest);
  } finally {
    channel.close();
  }
}

/** containerd's CRI plugin updates its own list of images by events, which may be behind the answer of the creation. */
async function waitForCri(channel: RuntimeChannel, name: string, id: string): Promise<void> {
  const images = criImages(criClient(channel, ""));
  const deadline = Date.now() + syncMilliseconds.longest;
  while ((await images.find(name))?.id !== id) {
    if (Date.now() > deadline)
      throw new RuntimeError("timeout", `image ${name} was imported, but CRI does not list it`);
    await setTimeout(syncMilliseconds.poll);
  }
}

/** The messages that write one blob: its pieces, the last one committing it. */
function writes(blob: Blob, labels: Record<string, string>, id: string): object[] {
  const requests: object[] = [];
  const { digest, bytes } = blob;
  for (let offset = 0; offset === 0 || offset < bytes.length; offset += chunkBytes) {
    const data = bytes.subarray(offset, offset + chunkBytes);
    const last = offset + chunkBytes >= bytes.length;
    requests.push({
      action: last ? "COMMIT" : "WRITE",
      ref: `${id}-${digest}`,
      total: bytes.length,
      expected: digest,
      offset,
      data,
      ...(last ? { labels } : {}),
    });
  }
  return requests;
}
