import { statfs } from "node:fs/promises";
import type { Image, Runtime } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";

export interface CollectionOptions {
  runtime: Runtime;
  clock: Clock;
  log: Log;
  /** Bytes of the file system that holds the images; undefined where nobody knows. */
  disk?: () => Promise<{ bytes: number; freeBytes: number } | undefined>;
}

const lookMilliseconds = 300_000;
/** Above this share of the disk images go ... */
const high = 0.85;
/** ... until it is down to this one. */
const low = 0.8;
/** An image that has just come may be about to be used. */
const leastAge = 120_000;

/** Removes images that nobody uses when the disk fills up, the longest unused first, until the signal aborts. */
export async function collectImages(options: CollectionOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options;
  /** When each image was last seen in use, or first seen at all. */
  const usedAt = new Map<string, number>();
  while (!signal.aborted) {
    try {
      await look(options, usedAt);
    } catch (error) {
      if (!signal.aborted) log.debug("images could not be looked through", { error: messageOf(error) });
    }
    await sleep(clock, lookMilliseconds, signal);
  }
}

async function look({ runtime, clock, log, disk }: CollectionOptions, usedAt: Map<string, number>): Promise<void> {
  const now = clock.now();
  const images = await runtime.images.list();
  const used = new Set(
    (await runtime.pods.list()).flatMap(({ containers }) => containers.map(({ imageId }) => imageId)),
  );
  const isUsed = ({ id, digests }: Image): boolean => used.has(id) || digests.some((digest) => used.has(digest));
  for (const image of images) if (isUsed(image) || !usedAt.has(image.id)) usedAt.set(image.id, now);
  for (const id of usedAt.keys()) if (!images.some((image) => image.id === id)) usedAt.delete(id);
  const room = await (disk ?? (() => imageDisk(runtime)))();
  if (!room) return;
  let excess = room.bytes - room.freeBytes - room.bytes * low;
  if (room.freeBytes > room.bytes * (1 - high)) return;
  const candidates = images
    .filter((image) => !image.pinned && !isUsed(image) && now - usedAt.get(image.id)! >= leastAge)
    .sort((a, b) => usedAt.get(a.id)! - usedAt.get(b.id)!);
  for (const image of candidates) {
    if (excess <= 0) return;
    await runtime.images.remove(image.id);
    usedAt.delete(image.id);
    excess -= image.size;
    log.info("an unused image is removed to make room", { image: image.tags[0] ?? image.id, bytes: image.size });
  }
  if (excess > 0) log.warn("the disk is full, and no image is left to remove", { missingBytes: Math.round(excess) });
}

async function imageDisk(runtime: Runtime): Promise<{ bytes: number; freeBytes: number } | undefined> {
  const { imageFilesystem } = await runtime.info();
  if (!imageFilesystem) return undefined;
  const { blocks, bavail, bsize } = await statfs(imageFilesystem.mountpoint);
  return { bytes: blocks * bsize, freeBytes: bavail * bsize };
}
