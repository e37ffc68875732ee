import {
  type Container,
  type Image,
  type ImagePort,
  type PodPort,
  type Runtime,
  RuntimeError,
  type Sandbox,
  type SandboxSpec,
} from "#agent/runtime";
import type { Clock } from "#base";
import { FakeContainer } from "./container.ts";
import { fakeStreams } from "./streams.ts";

export interface FakeOptions {
  clock: Clock;
  /** Where pods' addresses come from. */
  podCidr?: string;
  /** Why an image cannot be pulled; undefined: it can. */
  pullError?: (reference: string) => RuntimeError | undefined;
}

export interface FakeRuntime extends Runtime {
  /** Ends a container from outside, as a crash or the kernel would. */
  exit(containerId: string, exitCode: number, reason?: string): void;
}

interface FakeSandbox {
  id: string;
  spec: SandboxSpec;
  ready: boolean;
  createdAt: number;
  ip: string | undefined;
  containers: FakeContainer[];
  listens: Set<number> | undefined;
}

/** Everything is instant: a pull, a sandbox, a start. See `behaviour` for what a pod's annotations can ask for. */
export function fakeRuntime(options: FakeOptions): FakeRuntime {
  const { clock } = options;
  const sandboxes = new Map<string, FakeSandbox>();
  /** Thousands of pods ask for themselves: a search through all of them would be most of the work. */
  const byUid = new Map<string, FakeSandbox[]>();
  const containers = new Map<string, FakeContainer>();
  const images = new Map<string, Image>();
  const addresses = addressPool(options.podCidr ?? "10.244.0.0/16");
  const listeners = new Set<(uid: string) => void>();
  let serial = 0;
  const nextId = (): string => (++serial).toString(16).padStart(16, "0");
  const changed = (sandbox: FakeSandbox): void => {
    for (const listener of listeners) listener(sandbox.spec.uid);
  };

  const viewOf = (sandbox: FakeSandbox): Sandbox => {
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
  };
  const stop = (sandbox: FakeSandbox): void => {
    for (const container of sandbox.containers) if (container.running) container.exit(137);
    if (sandbox.ip !== undefined) addresses.free(sandbox.ip);
    sandbox.ip = undefined;
    sandbox.ready = false;
    sandbox.listens = undefined;
    changed(sandbox);
  };
  const remove = (container: FakeContainer): void => {
    if (container.running) container.exit(137);
    containers.delete(container.id);
  };
  const find = (id: string): FakeContainer => {
    const container = containers.get(id);
    if (!container) throw new RuntimeError("notFound", `container ${id} not found`);
    return container;
  };
  const matching = (uid: string | undefined): FakeSandbox[] =>
    uid === undefined ? [...sandboxes.values()] : (byUid.get(uid) ?? []);

  const pods: PodPort = {
    runSandbox: async (spec) => {
      const there = matching(spec.uid).find((sandbox) => sandbox.spec.attempt === spec.attempt);
      if (there?.ready) return viewOf(there);
      if (there) throw new RuntimeError("failed", `sandbox ${there.id} of attempt ${spec.attempt} has been stopped`);
      const ip = spec.host.network ? undefined : addresses.take();
      const sandbox: FakeSandbox = {
        id: nextId(),
        spec,
        ready: true,
        createdAt: clock.now(),
        ip,
        containers: [],
        listens: undefined,
      };
      sandboxes.set(sandbox.id, sandbox);
      byUid.set(spec.uid, [...matching(spec.uid), sandbox]);
      changed(sandbox);
      return viewOf(sandbox);
    },
    stopSandbox: async (id) => {
      const sandbox = sandboxes.get(id);
      if (sandbox?.ready) stop(sandbox);
    },
    removeSandbox: async (id) => {
      const sandbox = sandboxes.get(id);
      if (!sandbox) return;
      if (sandbox.ready) stop(sandbox);
      for (const container of sandbox.containers) remove(container);
      sandboxes.delete(id);
      const others = matching(sandbox.spec.uid).filter((one) => one !== sandbox);
      if (others.length > 0) byUid.set(sandbox.spec.uid, others);
      else byUid.delete(sandbox.spec.uid);
      changed(sandbox);
    },
    startContainer: async ({ sandboxId, container: spec }) => {
      const sandbox = sandboxes.get(sandboxId);
      if (!sandbox) throw new RuntimeError("notFound", `sandbox ${sandboxId} not found`);
      if (!sandbox.ready) throw new RuntimeError("create", `sandbox ${sandboxId} is not running`);
      const there = sandbox.containers.find((one) => one.spec.name === spec.name && one.spec.attempt === spec.attempt);
      if (there) return there.id;
      if (![...images.values()].some((image) => image.id === spec.imageId)) {
        throw new RuntimeError("create", `image ${spec.imageId} is not present`);
      }
      const container = new FakeContainer(nextId(), sandboxId, spec, {
        clock,
        hostname: sandbox.spec.hostname,
        annotations: sandbox.spec.annotations,
        changed: () => changed(sandbox),
        listen: (port) => {
          sandbox.listens ??= new Set();
          sandbox.listens.add(port);
        },
      });
      sandbox.containers.push(container);
      containers.set(container.id, container);
      container.start();
      return container.id;
    },
    stopContainer: async (id, graceSeconds) => containers.get(id)?.stop(graceSeconds),
    removeContainer: async (id) => {
      const container = containers.get(id);
      if (!container) return;
      remove(container);
      const sandbox = sandboxes.get(container.sandboxId);
      if (!sandbox) return;
      sandbox.containers = sandbox.containers.filter((one) => one !== container);
      changed(sandbox);
    },
    resizeContainer: async (id, resources) => {
      Object.assign(find(id).spec, { resources });
    },
    list: async (filter) => matching(filter?.uid).map(viewOf),
  };

  const imagePort: ImagePort = {
    find: async (reference) => images.get(reference) ?? [...images.values()].find((image) => image.id === reference),
    pull: async (reference) => {
      const error = options.pullError?.(reference);
      if (error) throw error;
      const there = images.get(reference);
      if (there) return there;
      const id = `sha256:${Buffer.from(reference).toString("hex").padStart(64, "0").slice(-64)}`;
      const image: Image = { id, tags: [reference], digests: [], size: 1_000_000, pinned: false };
      images.set(reference, image);
      return image;
    },
    list: async () => [...images.values()],
    remove: async (reference) => {
      for (const [name, image] of images) if (name === reference || image.id === reference) images.delete(name);
    },
  };

  return {
    pods,
    images: imagePort,
    streams: fakeStreams({
      clock,
      container: find,
      listens: (sandboxId, port) => {
        const sandbox = sandboxes.get(sandboxId);
        if (!sandbox) throw new RuntimeError("notFound", `sandbox ${sandboxId} not found`);
        return sandbox.listens?.has(port) === true;
      },
      list: pods.list,
    }),
    info: async () => ({
      name: "fake",
      version: "1.0.0",
      conditions: [
        { type: "RuntimeReady", status: true, reason: "", message: "" },
        { type: "NetworkReady", status: true, reason: "", message: "" },
      ],
      cgroupDriver: "none",
      features: {
        incremental: true,
        images: true,
        podNetwork: true,
        exec: true,
        userNamespaces: false,
        recursiveReadOnlyMounts: false,
      },
    }),
    changes: (signal) =>
      uidQueue(signal, (push) => {
        for (const sandbox of sandboxes.values()) push(sandbox.spec.uid);
        listeners.add(push);
        return () => listeners.delete(push);
      }),
    close: async () => {},
    exit: (containerId, exitCode, reason) => find(containerId).exit(exitCode, reason),
  };
}

/** Hands out what a source pushes, each uid once however often it was pushed since it was last handed out. */
async function* uidQueue(
  signal: AbortSignal,
  subscribe: (push: (uid: string) => void) => () => void,
): AsyncGenerator<string> {
  const waiting = new Set<string>();
  let wake = () => {};
  const unsubscribe = subscribe((uid) => {
    waiting.add(uid);
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      const batch = [...waiting];
      waiting.clear();
      yield* batch;
      if (waiting.size > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
}

function addressPool(cidr: string) {
  const [base = "", bits = "16"] = cidr.split("/");
  const first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits)) - 2;
  const freed: number[] = [];
  let next = 1;
  const text = (offset: number): string => {
    const value = first + offset;
    return [value / 2 ** 24, value / 2 ** 16, value / 2 ** 8, value].map((part) => Math.floor(part) % 256).join(".");
  };
  const offsets = new Map<string, number>();
  return {
    take: (): string => {
      // The first address is the bridge's.
      const offset = next < size ? ++next : freed.shift();
      if (offset === undefined) throw new RuntimeError("network", `no addresses left in ${cidr}`);
      const address = text(offset);
      offsets.set(address, offset);
      return address;
    },
    free: (address: string): void => {
      const offset = offsets.get(address);
      if (offset === undefined) return;
      offsets.delete(address);
      freed.push(offset);
    },
  };
}
