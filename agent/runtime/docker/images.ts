import type { IncomingMessage } from "node:http";
import { type Image, type ImagePort, ignoreMissing, type RegistryCredentials, RuntimeError } from "#agent/runtime";
import { type BuiltImage, dockerArchive } from "#agent/runtime/oci";
import { type Engine, EngineError } from "./engine.ts";

export interface SandboxImage {
  name: string;
  image: BuiltImage;
}

interface ImageItem {
  Id: string;
  RepoTags: string[] | null;
  RepoDigests: string[] | null;
  Size: number;
  Config?: { User?: string } | null;
}

/** A line of a pull's progress. */
interface Progress {
  error?: string;
  errorDetail?: { message?: string };
}

/** Images by the Engine API. Mirrors are the engine's configuration. */
export class DockerImages implements ImagePort {
  readonly #engine: Engine;
  readonly #sandbox: SandboxImage;
  /** The reference of each image by its id: ids name contents. */
  readonly #references = new Map<string, string>();

  constructor(engine: Engine, sandbox: SandboxImage) {
    this.#engine = engine;
    this.#sandbox = sandbox;
  }

  async find(reference: string): Promise<Image | undefined> {
    const item = await ignoreMissing(this.#inspect(reference));
    return item && this.#view(item);
  }

  async pull(reference: string, credentials?: RegistryCredentials, signal?: AbortSignal): Promise<Image> {
    const call = {
      query: { fromImage: reference, ...(hasTag(reference) ? {} : { tag: "latest" }) },
      headers: credentials ? { "X-Registry-Auth": authOf(credentials) } : {},
      timeout: 0,
      otherwise: "registry" as const,
      signal,
    };
    await readProgress(await this.#engine.stream("POST", "/images/create", call));
    const image = await this.find(reference);
    if (!image) throw new RuntimeError("notFound", `image ${reference} vanished after its pull`);
    return image;
  }

  async list(): Promise<Image[]> {
    const items = await this.#engine.json<ImageItem[]>("GET", "/images/json");
    return items.map((item) => this.#view(item));
  }

  async remove(reference: string): Promise<void> {
    const item = await ignoreMissing(this.#inspect(reference));
    if (!item) return;
    // By its names first: the engine refuses an id that has several.
    for (const name of item.RepoTags ?? []) await ignoreMissing(this.#delete(name));
    await ignoreMissing(this.#delete(item.Id));
  }

  /** The image of sandboxes, which is loaded when it is missing. It is never pulled. */
  async sandboxImage(): Promise<string> {
    const { name, image } = this.#sandbox;
    if (await ignoreMissing(this.#inspect(name))) return name;
    await this.load(name, image);
    return name;
  }

  /** Loads an image under a full name. */
  async load(name: string, image: BuiltImage): Promise<void> {
    const body = dockerArchive(name, image);
    await readProgress(await this.#engine.stream("POST", "/images/load", { query: { quiet: true }, body }));
  }

  /** The `imageID` of a pod's status: the image's name with its digest, or its id where no registry has it. */
  async referenceOf(id: string): Promise<string> {
    const known = this.#references.get(id);
    if (known !== undefined) return known;
    const item = await ignoreMissing(this.#inspect(id));
    const reference = item?.RepoDigests?.[0] ?? `sha256:${id.replace(/^sha256:/, "")}`;
    if (item) this.#references.set(id, reference);
    return reference;
  }

  #inspect(reference: string): Promise<ImageItem> {
    return this.#engine.json<ImageItem>("GET", `/images/${reference}/json`);
  }

  async #delete(name: string): Promise<void> {
    await this.#engine.json("DELETE", `/images/${name}`).catch((error: unknown) => {
      // A container uses it.
      if (!(error instanceof EngineError && error.status === 409)) throw error;
    });
  }

  #view({ Id, RepoTags, RepoDigests, Size, Config }: ImageItem): Image {
    const user = (Config?.User ?? "").split(":")[0]!;
    const tags = (RepoTags ?? []).filter((tag) => tag !== "<none>:<none>");
    return {
      id: `sha256:${Id.replace(/^sha256:/, "")}`,
      tags,
      digests: RepoDigests ?? [],
      size: Size,
      ...(user === "" ? {} : { user: /^\d+$/.test(user) ? { uid: Number(user) } : { name: user } }),
      // No pod can start without this one.
      pinned: tags.includes(this.#sandbox.name),
    };
  }
}

const hasTag = (reference: string): boolean => /@|:[^/]+$/.test(reference);

function authOf({ username, password, auth, identityToken, registryToken }: RegistryCredentials): string {
  const [name, ...secret] = auth ? Buffer.from(auth, "base64").toString().split(":") : [];
  const config = {
    username: username ?? name,
    password: password ?? (auth ? secret.join(":") : undefined),
    identitytoken: identityToken,
    registrytoken: registryToken,
  };
  return Buffer.from(JSON.stringify(config)).toString("base64url");
}

/** Reads the lines of progress to their end. Throws `notFound` or `registry` for an error among them. */
async function readProgress(response: IncomingMessage): Promise<void> {
  let rest = "";
  const read = (line: string): void => {
    if (line.trim() === "") return;
    let progress: Progress;
    try {
      progress = JSON.parse(line) as Progress;
    } catch {
      return;
    }
    const message = progress.errorDetail?.message ?? progress.error;
    if (!message) return;
    const isMissing = /manifest unknown|not found|repository does not exist/i.test(message);
    throw new RuntimeError(isMissing ? "notFound" : "registry", message);
  };
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) read(line);
  }
  read(rest);
}
