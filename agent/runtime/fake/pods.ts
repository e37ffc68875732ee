import {
  type Container,
  type ContainerSpec,
  type ContainerStart,
  type PodPort,
  RuntimeError,
  type Sandbox,
  type SandboxSpec,
} from "#agent/runtime";
import type { Clock } from "#base";
import type { AddressPool } from "./addresses.ts";
import { FakeContainer } from "./container.ts";
import type { FakeImages } from "./images.ts";
import { uidQueue } from "./uid-queue.ts";

interface FakeSandbox {
  id: string;
  spec: SandboxSpec;
  ready: boolean;
  createdAt: number;
  ip: string | undefined;
  containers: FakeContainer[];
  /** The ports that its containers listen on. */
  ports: Set<number> | undefined;
}

export interface FakePodsOptions {
  clock: Clock;
  addresses: AddressPool;
  images: FakeImages;
}

/** Sandboxes and containers as records in memory. */
export class FakePods implements PodPort {
  readonly #options: FakePodsOptions;
  readonly #sandboxes = new Map<string, FakeSandbox>();
  /** With thousands of pods, a search through all of them for each request would be most of the work. */
  readonly #byUid = new Map<string, FakeSandbox[]>();
  readonly #containers = new Map<string, FakeContainer>();
  readonly #listeners = new Set<(uid: string) => void>();
  #serial = 0;

  constructor(options: FakePodsOptions) {
    this.#options = options;
  }

  async runSandbox(spec: SandboxSpec): Promise<Sandbox> {
    if (!spec.host.users) {
      // The text of upstream's userns manager.
      const why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";
      throw new RuntimeError("unsupported", why);
    }
    const present = this.#matching(spec.uid).find((sandbox) => sandbox.spec.attempt === spec.attempt);
    if (present?.ready) return viewOf(present);
    if (present) throw new RuntimeError("failed", `sandbox ${present.id} of attempt ${spec.attempt} has been stopped`);
    const ip = spec.host.network ? undefined : this.#options.addresses.take();
    const sandbox: FakeSandbox = {
      id: this.#nextId(),
      spec,
      ready: true,
      createdAt: this.#options.clock.now(),
      ip,
      containers: [],
      ports: undefined,
    };
    this.#sandboxes.set(sandbox.id, sandbox);
    this.#byUid.set(spec.uid, [...this.#matching(spec.uid), sandbox]);
    this.#notify(sandbox);
    return viewOf(sandbox);
  }

  async stopSandbox(id: string): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox?.ready) this.#stop(sandbox);
  }

  async removeSandbox(id: string): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    if (sandbox.ready) this.#stop(sandbox);
    for (const container of sandbox.containers) this.#remove(container);
    this.#sandboxes.delete(id);
    const others = this.#matching(sandbox.spec.uid).filter((one) => one !== sandbox);
    if (others.length > 0) this.#byUid.set(sandbox.spec.uid, others);
    else this.#byUid.delete(sandbox.spec.uid);
    this.#notify(sandbox);
  }

  async startContainer({ sandboxId, container: spec }: ContainerStart): Promise<string> {
    const sandbox = this.#findSandbox(sandboxId);
    if (!sandbox.ready) throw new RuntimeError("create", `sandbox ${sandboxId} is not running`);
    const present = sandbox.containers.find((one) => one.spec.name === spec.name && one.spec.attempt === spec.attempt);
    if (present) return present.id;
    if (!this.#options.images.hasId(spec.imageId)) {
      throw new RuntimeError("create", `image ${spec.imageId} is not present`);
    }
    const container = new FakeContainer(this.#nextId(), spec, {
      sandboxId,
      clock: this.#options.clock,
      hostname: sandbox.spec.hostname,
      annotations: sandbox.spec.annotations,
      changed: () => this.#notify(sandbox),
      listen: (port) => {
        sandbox.ports ??= new Set();
        sandbox.ports.add(port);
      },
    });
    sandbox.containers.push(container);
    this.#containers.set(container.id, container);
    container.start();
    return container.id;
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    await this.#containers.get(id)?.stop(graceSeconds);
  }

  async removeContainer(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (!container) return;
    this.#remove(container);
    const sandbox = this.#sandboxes.get(container.sandboxId);
    if (!sandbox) return;
    sandbox.containers = sandbox.containers.filter((one) => one !== container);
    this.#notify(sandbox);
  }

  async resizeContainer(id: string, resources: ContainerSpec["resources"]): Promise<void> {
    Object.assign(this.find(id).spec, { resources });
  }

  async list(filter?: { uid?: string }): Promise<Sandbox[]> {
    return this.#matching(filter?.uid).map(viewOf);
  }

  /** Throws RuntimeError `notFound`. */
  find(containerId: string): FakeContainer {
    const container = this.#containers.get(containerId);
    if (!container) throw new RuntimeError("notFound", `container ${containerId} not found`);
    return container;
  }

  /** Whether a container of the sandbox listens on the port. Throws RuntimeError `notFound`. */
  listens(sandboxId: string, port: number): boolean {
    return this.#findSandbox(sandboxId).ports?.has(port) === true;
  }

  /** See `Runtime.changes`. */
  changes(signal: AbortSignal): AsyncIterable<string> {
    return uidQueue(signal, (push) => {
      for (const sandbox of this.#sandboxes.values()) push(sandbox.spec.uid);
      this.#listeners.add(push);
      return () => this.#listeners.delete(push);
    });
  }

  #nextId(): string {
    this.#serial++;
    return this.#serial.toString(16).padStart(16, "0");
  }

  #findSandbox(id: string): FakeSandbox {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) throw new RuntimeError("notFound", `sandbox ${id} not found`);
    return sandbox;
  }

  #matching(uid: string | undefined): FakeSandbox[] {
    return uid === undefined ? [...this.#sandboxes.values()] : (this.#byUid.get(uid) ?? []);
  }

  #notify(sandbox: FakeSandbox): void {
    for (const listener of this.#listeners) listener(sandbox.spec.uid);
  }

  #stop(sandbox: FakeSandbox): void {
    for (const container of sandbox.containers) if (container.running) container.exit(137);
    if (sandbox.ip !== undefined) this.#options.addresses.free(sandbox.ip);
    sandbox.ip = undefined;
    sandbox.ready = false;
    sandbox.ports = undefined;
    this.#notify(sandbox);
  }

  #remove(container: FakeContainer): void {
    if (container.running) container.exit(137);
    this.#containers.delete(container.id);
  }
}

function viewOf(sandbox: FakeSandbox): Sandbox {
  const { id, spec, ready, createdAt, ip } = sandbox;
  const { name, namespace, uid, attempt, labels, annotations } = spec;
  return {
    id,
    name,
    namespace,
    uid,
    attempt,
    state: ready ? "ready" : "notReady",
    createdAt,
    ips: ip === undefined ? [] : [ip],
    labels,
    annotations,
    containers: sandbox.containers.map((container): Container => container.view()),
  };
}
