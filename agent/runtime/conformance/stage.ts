import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, ContainerSpec, LogOptions, Runtime, Sandbox, SandboxSpec } from "../index.ts";
import { plainContainer, plainSandbox } from "../testing/index.ts";

export interface ConformanceSetting {
  runtime: Runtime;
  /** An image with sh, echo, cat, sleep, env, hostname, pwd, seq, nc and tar, which a pull finds. */
  image: string;
  /** An image that no registry has. */
  missingImage: string;
  /** The parent of the pods' cgroups, for drivers that have one. */
  cgroupParent?: string;
  /** The same runtime as a restarted agent would open it; absent for drivers that run inside the process. */
  reopen?: () => Promise<Runtime>;
  close: () => Promise<void>;
}

/** The runtime under test, and the pods that the tests run on it. */
export class Stage {
  readonly #openSetting: () => Promise<ConformanceSetting>;
  #setting: ConformanceSetting | undefined;
  #folder = "";
  #imageId = "";
  #serial = 0;

  constructor(openSetting: () => Promise<ConformanceSetting>) {
    this.#openSetting = openSetting;
  }

  async open(): Promise<void> {
    this.#setting = await this.#openSetting();
    this.#folder = await mkdtemp(join(tmpdir(), "skiff-runtime-"));
    this.#imageId = (await this.runtime.images.pull(this.setting.image)).id;
  }

  async close(): Promise<void> {
    for (const sandbox of await this.runtime.pods.list()) {
      if (sandbox.namespace === "conformance") await this.runtime.pods.removeSandbox(sandbox.id);
    }
    await this.setting.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get setting(): ConformanceSetting {
    if (!this.#setting) throw new Error("the stage is not open");
    return this.#setting;
  }

  get runtime(): Runtime {
    return this.setting.runtime;
  }

  /** A folder for the tests' files, removed at the end. */
  get folder(): string {
    return this.#folder;
  }

  /** Of `setting.image`, which is pulled. */
  get imageId(): string {
    return this.#imageId;
  }

  sandboxSpec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
    const serial = ++this.#serial;
    const uid = `00000000-0000-4000-8000-${String(serial).padStart(12, "0")}`;
    const { cgroupParent } = this.setting;
    return plainSandbox({
      name: `pod-${serial}`,
      namespace: "conformance",
      uid,
      hostname: `host-${serial}`,
      cgroupParent: cgroupParent && `${cgroupParent}/pod${uid}`,
      logDirectory: join(this.#folder, uid),
      labels: { "pod-label": "yes" },
      annotations: { "pod-note": "kept as it is, with spaces" },
      ...changes,
    });
  }

  containerSpec(command: string[], changes: Partial<ContainerSpec> = {}): ContainerSpec {
    return plainContainer({
      image: this.setting.image,
      imageId: this.#imageId,
      command,
      labels: { "container-label": "yes" },
      annotations: { "container-note": "kept" },
      ...changes,
    });
  }

  /** Runs a sandbox with one container. */
  async runPod(command: string[], changes: Partial<ContainerSpec> = {}, pod: Partial<SandboxSpec> = {}) {
    const spec = this.sandboxSpec(pod);
    const sandbox = await this.runtime.pods.runSandbox(spec);
    const container = this.containerSpec(command, changes);
    const id = await this.runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: spec, container });
    return { spec, sandbox, id, container };
  }

  async find(uid: string): Promise<Sandbox | undefined> {
    return (await this.runtime.pods.list({ uid }))[0];
  }

  async containerOf(uid: string, id: string): Promise<Container | undefined> {
    return (await this.find(uid))?.containers.find((container) => container.id === id);
  }

  /** The container once it has exited. */
  exited(uid: string, id: string): Promise<Container> {
    return until(async () => {
      const container = await this.containerOf(uid, id);
      return container?.state === "exited" && container;
    });
  }

  async logs(id: string, options: LogOptions = {}): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const part of this.runtime.streams.logs(id, options)) parts.push(part);
    return Buffer.concat(parts).toString();
  }
}

/** Polls until `read` resolves with a value. */
export async function until<T>(read: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await read();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
