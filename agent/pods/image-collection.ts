import { statfs } from "node:fs/promises";
import type { Image, Runtime } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";

export interface CollectionOptions {
  runtime: Runtime;
  clock: Clock;
  log: Log;
  /** Images that are in use without a container, as pods name them: those of volumes. */
  inVolumes?: () => readonly string[];
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

/** Removes images that no container uses. */
export class ImageCollection {
  readonly #options: CollectionOptions;
  /** When each image was last in use, or first listed. */
  readonly #usedAt = new Map<string, number>();

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Removes unused images when the disk fills up, the longest unused first, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#collect();
      } catch (error) {
        if (!signal.aborted) log.debug("unused images could not be removed", { error: messageOf(error) });
      }
      await sleep(clock, periodMilliseconds, signal);
    }
  }

  /** Removes all of them, however young: for a disk that is full (imageGCManager.DeleteUnusedImages). */
  async removeAll(): Promise<void> {
    for (const image of await this.#unused()) await this.#remove(image);
  }

  async #collect(): Promise<void> {
    const { runtime, clock, log, disk } = this.#options;
    const now = clock.now();
    const unused = await this.#unused();
    const space = await (disk ?? (() => imageDisk(runtime)))();
    if (!space) return;
    let excess = space.bytes - space.freeBytes - space.bytes * lowThreshold;
    if (space.freeBytes > space.bytes * (1 - highThreshold)) return;
    for (const image of unused.filter(({ id }) => now - this.#usedAt.get(id)! >= leastAgeMilliseconds)) {
      if (excess <= 0) return;
      await this.#remove(image);
      excess -= image.size;
    }
    if (excess > 0) log.warn("the disk is full, and no image is left to remove", { missingBytes: Math.round(excess) });
  }

  /** Images without a container, the longest unused first. */
  async #unused(): Promise<Image[]> {
    const { runtime, clock, inVolumes } = this.#options;
    const images = await runtime.images.list();
    const used = new Set(
      (await runtime.pods.list()).flatMap(({ containers }) => containers.map(({ imageId }) => imageId)),
    );
    for (const reference of inVolumes?.() ?? []) {
      const image = await runtime.images.find(reference);
      if (image) used.add(image.id);
    }
    const isUsed = ({ id, digests }: Image): boolean => used.has(id) || digests.some((digest) => used.has(digest));
    const now = clock.now();
    for (const image of images) if (isUsed(image) || !this.#usedAt.has(image.id)) this.#usedAt.set(image.id, now);
    for (const id of this.#usedAt.keys()) if (!images.some((image) => image.id === id)) this.#usedAt.delete(id);
    return images
      .filter((image) => !image.pinned && !isUsed(image))
      .sort((a, b) => this.#usedAt.get(a.id)! - this.#usedAt.get(b.id)!);
  }

  async #remove(image: Image): Promise<void> {
    const { runtime, log } = this.#options;
    await runtime.images.remove(image.id);
    this.#usedAt.delete(image.id);
    log.info("an unused image is removed to make room", { image: image.tags[0] ?? image.id, bytes: image.size });
  }
}

async function imageDisk(runtime: Runtime): Promise<{ bytes: number; freeBytes: number } | undefined> {
  const { imageFilesystem } = await runtime.info();
  if (!imageFilesystem) return undefined;
  const { blocks, bavail, bsize } = await statfs(imageFilesystem.mountpoint);
  return { bytes: blocks * bsize, freeBytes: bavail * bsize };
}
