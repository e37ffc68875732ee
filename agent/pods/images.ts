import type { Image, RegistryCredentials } from "#agent/runtime";
import { type Container, imageTag, type Pod } from "#api";
import { messageOf } from "#base";
import { Backoff } from "#kubelet";
import { fieldPathOf, type PodsContext, StartError } from "./context.ts";

/** The reference with its implied tag. */
const withTag = (image: string, tag: string): string =>
  tag === "latest" && !image.endsWith(":latest") ? `${image}:latest` : image;

type ImageRecorder = (type: "Normal" | "Warning", reason: string, message: string) => void;

interface Pull {
  /** The image as the container names it. */
  shown: string;
  reference: string;
  /** Of the back-off. */
  key: string;
  record: ImageRecorder;
  signal: AbortSignal;
}

interface DockerConfig {
  auths?: Record<string, { username?: string; password?: string; auth?: string; identitytoken?: string }>;
}

/** Images for containers: the pull policy, the back-off after failures, and upstream's events. */
export class Images {
  readonly #context: PodsContext;
  readonly #backoff = new Backoff();
  readonly #lastErrors = new Map<string, string>();

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** The image, pulled if the policy requires it. Throws StartError. */
  async ensure(pod: Pod, container: Container, signal: AbortSignal): Promise<Image> {
    const { clock } = this.#context;
    const path = fieldPathOf(pod, container.name);
    const shown = container.image ?? "";
    const record = (type: "Normal" | "Warning", reason: string, message: string): void =>
      this.#context.record(pod, type, reason, message, path);
    const tag = imageTag(shown);
    if (tag === undefined) {
      const why = `Failed to apply default image tag "${shown}": couldn't parse image name "${shown}": invalid reference format`;
      record("Warning", "InspectFailed", why);
      throw new StartError("InvalidImageName", why);
    }
    const reference = withTag(shown, tag);
    const policy = container.imagePullPolicy ?? (tag === "latest" ? "Always" : "IfNotPresent");
    const present = policy === "Always" ? undefined : await this.#find(shown, reference, record);
    if (present) {
      const text = `Container image "${shown}" already present on machine and can be accessed by the pod`;
      record("Normal", "Pulled", text);
      return present;
    }
    if (policy === "Never") {
      const why = `Container image "${shown}" is not present with pull policy of Never`;
      record("Warning", "ErrImageNeverPull", why);
      throw new StartError("ErrImageNeverPull", why);
    }
    const key = `${pod.metadata.uid}/${shown}`;
    if (this.#backoff.leftSinceRaised(key, clock.now()) > 0) {
      const why = `Back-off pulling image "${shown}"`;
      record("Normal", "BackOff", why);
      const last = this.#lastErrors.get(key);
      throw new StartError("ImagePullBackOff", last === undefined ? why : `${why}: ${last}`);
    }
    return this.#pull(pod, { shown, reference, key, record, signal });
  }

  async #find(shown: string, reference: string, record: ImageRecorder): Promise<Image | undefined> {
    try {
      return await this.#context.runtime.images.find(reference);
    } catch (error) {
      const why = `Failed to inspect image "${shown}": ${messageOf(error)}`;
      record("Warning", "InspectFailed", why);
      throw new StartError("ImageInspectError", why, { cause: error });
    }
  }

  async #pull(pod: Pod, { shown, reference, key, record, signal }: Pull): Promise<Image> {
    const { clock, runtime } = this.#context;
    record("Normal", "Pulling", `Pulling image "${shown}"`);
    const start = clock.now();
    try {
      const credentials = (await this.#secretCredentials(pod, reference)) ?? (await this.#nodeCredentials(reference));
      const image = await runtime.images.pull(reference, credentials, signal);
      const took = `${(clock.now() - start) / 1000}s`;
      const size = `Image size: ${image.size} bytes.`;
      record(
        "Normal",
        "Pulled",
        `Successfully pulled image "${shown}" in ${took} (${took} including waiting). ${size}`,
      );
      this.#lastErrors.delete(key);
      return image;
    } catch (error) {
      if (signal.aborted) throw error;
      const why = messageOf(error);
      const isFirst = !this.#backoff.has(key);
      this.#backoff.raise(key, clock.now(), clock.now());
      const { reason, message } = pullFailure(shown, why);
      this.#lastErrors.set(key, `${reason}: ${message}`);
      record("Warning", "Failed", `Failed to pull image "${shown}": ${why}`);
      throw new StartError(reason, message, { cause: error, soon: isFirst });
    }
  }

  forget(uid: string): void {
    this.#backoff.forget(`${uid}/`);
    for (const key of this.#lastErrors.keys()) if (key.startsWith(`${uid}/`)) this.#lastErrors.delete(key);
  }

  /** The credentials of the pod's imagePullSecrets for the image: those of the longest matching registry. */
  async #secretCredentials(pod: Pod, reference: string): Promise<RegistryCredentials | undefined> {
    const [first = ""] = reference.split("/");
    const full = /[.:]|^localhost$/.test(first) && reference.includes("/") ? reference : `docker.io/${reference}`;
    let best: { length: number; credentials: RegistryCredentials } | undefined;
    for (const { name = "" } of pod.spec?.imagePullSecrets ?? []) {
      const secret = await this.#context.api.secret(pod.metadata.namespace ?? "", name);
      const text = secret?.data?.[".dockerconfigjson"];
      const old = secret?.data?.[".dockercfg"];
      if (!text && !old) continue;
      const parsed = parse(Buffer.from(text ?? old ?? "", "base64").toString());
      const auths = text ? parsed.auths : (parsed as NonNullable<DockerConfig["auths"]>);
      for (const [registry, entry] of Object.entries(auths ?? {})) {
        const prefix = registry
          .replace(/^https?:\/\//, "")
          .replace(/\/(v[12]\/?)?$/, "")
          .replace("index.docker.io", "docker.io");
        if (!`${full}/`.startsWith(`${prefix}/`) || (best && best.length >= prefix.length)) continue;
        const { username, password, auth, identitytoken } = entry;
        best = {
          length: prefix.length,
          credentials: { username, password, auth, identityToken: identitytoken },
        };
      }
    }
    return best?.credentials;
  }

  /** The node's own credentials. When they are not available the image is pulled without, as the kubelet does. */
  async #nodeCredentials(reference: string): Promise<RegistryCredentials | undefined> {
    const { registryCredentials, log } = this.#context;
    try {
      return await registryCredentials?.(reference);
    } catch (error) {
      log.warn("an image is pulled without the node's credentials", { image: reference, error: messageOf(error) });
      return undefined;
    }
  }
}

/** Some runtimes prefix their message with a cause; upstream's evalCRIPullErr turns it into a reason. */
function pullFailure(image: string, why: string): { reason: string; message: string } {
  for (const [reason, text] of [
    ["RegistryUnavailable", "the registry is unavailable"],
    ["SignatureValidationFailed", "the signature validation failed"],
  ] as const) {
    if (!why.startsWith(reason)) continue;
    return { reason, message: `image pull failed for ${image} because ${text}${why.slice(reason.length)}` };
  }
  return { reason: "ErrImagePull", message: why };
}

/** A secret without valid JSON has no credentials. */
function parse(text: string): DockerConfig {
  try {
    return JSON.parse(text) as DockerConfig;
  } catch {
    return {};
  }
}
