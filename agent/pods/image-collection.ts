import { statfs } from "node:fs/promises";
import type { Image, Runtime } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";

export interface CollectionOptions {
  runtime: Runtime;
  clock: Clock;
  log: Log;
  /** Bytes of the images' file system; undefined when unknown. */
  disk?: () => Promise<{ bytes: number; freeBytes: number } | undefined>;
}

const periodMilliseconds = 300_000;
/** Images are removed when more than this share of the disk is used ... */
const highThreshold = 0.85;
/** ... until not more than this share is used. */
const lowThreshold = 0.8;
/** A younger image may be about to be used. */
const leastAgeMilliseconds = 120_000;

/** Removes unused images when the disk fills up, the longest unused first, until the signal aborts. */
export async function collectImages(options: CollectionOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options;
  /** When each image was last in use, or first listed. */
  const usedAt = new Map<string, number>();
  while (!signal.aborted) {
    try {
      await collect(options, usedAt);
    } catch (error) {
      if (!signal.aborted) log.debug("unused images could not be removed", { error: messageOf(error) });
    }
    await sleep(clock, periodMilliseconds, signal);
  }
}

async function collect({ runtime, clock, log, disk }: CollectionOptions, usedAt: Map<string, number>): Promise<void> {
  const now = clock.now();
  const images = await runtime.images.list();
  const used = new Set(
    (await runtime.pods.list()).flatMap(({ containers }) => containers.map(({ imageId }) => imageId)),
  );
  const isUsed = ({ id, digests }: Image): boolean => used.has(id) || digests.some((digest) => used.has(digest));
  for (const image of images) if (isUsed(image) || !usedAt.has(image.id)) usedAt.set(image.id, now);
  for (const id of usedAt.keys()) if (!images.some((image) => image.id === id)) usedAt.delete(id);
  const space = await (disk ?? (() => imageDisk(runtime)))();
  if (!space) return;
  let excess = space.bytes - space.freeBytes - space.bytes * lowThreshold;
  if (space.freeBytes > space.bytes * (1 - highThreshold)) return;
  const candidates = images
    .filter((image) => !image.pinned && !isUsed(image) && now - usedAt.get(image.id)! >= leastAgeMilliseconds)
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
