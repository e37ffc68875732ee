import type { Image, ImagePort, RuntimeError } from "#agent/runtime";

/** Images that are present as soon as they are pulled. */
export class FakeImages implements ImagePort {
  readonly #images = new Map<string, Image>();
  readonly #pullError: ((reference: string) => RuntimeError | undefined) | undefined;

  /** @param pullError Why an image cannot be pulled; undefined: it can. */
  constructor(pullError?: (reference: string) => RuntimeError | undefined) {
    this.#pullError = pullError;
  }

  hasId(id: string): boolean {
    return [...this.#images.values()].some((image) => image.id === id);
  }

  async find(reference: string): Promise<Image | undefined> {
    return this.#images.get(reference) ?? [...this.#images.values()].find((image) => image.id === reference);
  }

  async pull(reference: string): Promise<Image> {
    const error = this.#pullError?.(reference);
    if (error) throw error;
    const present = this.#images.get(reference);
    if (present) return present;
    const id = `sha256:${Buffer.from(reference).toString("hex").padStart(64, "0").slice(-64)}`;
    const image: Image = { id, tags: [reference], digests: [], size: 1_000_000, pinned: false };
    this.#images.set(reference, image);
    return image;
  }

  async list(): Promise<Image[]> {
    return [...this.#images.values()];
  }

  async remove(reference: string): Promise<void> {
    for (const [name, image] of this.#images) {
      if (name === reference || image.id === reference) this.#images.delete(name);
    }
  }
}
