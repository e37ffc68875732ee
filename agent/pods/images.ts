import type { Image, RegistryCredentials } from "#agent/runtime";
import { type Container, imageTag, type Pod } from "#api";
import { messageOf } from "#base";
import { Backoff } from "#kubelet";
import { fieldPathOf, type PodsContext, StartError } from "./context.ts";

/** The reference with the tag that it means. */
const withTag = (image: string, tag: string): string =>
  tag === "latest" && !image.endsWith(":latest") ? `${image}:latest` : image;

interface DockerConfig {
  auths?: Record<string, { username?: string; password?: string; auth?: string; identitytoken?: string }>;
}

/** Images for containers: the pull policy, the waiting after failures, events in upstream's words. */
export class Images {
  readonly #context: PodsContext;
  readonly #backoff = new Backoff();
  readonly #lastErrors = new Map<string, string>();

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** The image, pulled where the policy says so. Throws StartError. */
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
    const there = policy === "Always" ? undefined : await this.#find(shown, reference, record);
    if (there) {
      const text = `Container image "${shown}" already present on machine and can be accessed by the pod`;
      record("Normal", "Pulled", text);
      return there;
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
    return this.#pull(pod, shown, reference, { key, record, signal });
  }

  async #find(
    shown: string,
    reference: string,
    record: (type: "Normal" | "Warning", reason: string, message: string) => void,
  ): Promise<Image | undefined> {
    try {
      return await this.#context.runtime.images.find(reference);
    } catch (error) {
      const why = `Failed to inspect image "${shown}": ${messageOf(error)}`;
      record("Warning", "InspectFailed", why);
      throw new StartError("ImageInspectError", why, { cause: error });
    }
  }

  async #pull(
    pod: Pod,
    shown: string,
    reference: string,
    {
      key,
      record,
      signal,
    }: { key: string; record: (t: "Normal" | "Warning", r: string, m: string) => void; signal: AbortSignal },
  ): Promise<Image> {
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

  /** What the pod's imagePullSecrets say for the image's registry: the longest entry that fits. */
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
          credentials: {
            ...(username === undefined ? {} : { username }),
            ...(password === undefined ? {} : { password }),
            ...(auth === undefined ? {} : { auth }),
            ...(identitytoken === undefined ? {} : { identityToken: identitytoken }),
          },
        };
      }
    }
    return best?.credentials;
  }

  /**
   * The node's own. Where they cannot be had the pull goes on without, as kubelet's does: the registry says the rest.
   */
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

/** Some runtimes name a cause in front of their message; upstream's evalCRIPullErr makes a reason of it. */
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

/** A secret that holds no JSON gives no credentials; the pull then says what is missing. */
function parse(text: string): DockerConfig {
  try {
    return JSON.parse(text) as DockerConfig;
  } catch {
    return {};
  }
}
