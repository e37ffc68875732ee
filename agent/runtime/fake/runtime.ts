import type { Runtime, RuntimeError, RuntimeInfo } from "#agent/runtime";
import type { Clock } from "#base";
import { AddressPool } from "./addresses.ts";
import { FakeImages } from "./images.ts";
import { FakePods } from "./pods.ts";
import { FakeStreams } from "./streams.ts";

export interface FakeOptions {
  clock: Clock;
  /** The range of pods' addresses. Defaults to 10.244.0.0/16. */
  podCidr?: string | undefined;
  /** Why an image cannot be pulled; undefined: it can. */
  pullError?: ((reference: string) => RuntimeError | undefined) | undefined;
}

export interface FakeRuntime extends Runtime {
  /** Ends a container from outside, as a crash or the kernel would. */
  exit(containerId: string, exitCode: number, reason?: string): void;
}

/** Pulls, sandboxes and starts are instant. `behaviour` lists the annotations that change how a pod behaves. */
export function fakeRuntime({ clock, podCidr = "10.244.0.0/16", pullError }: FakeOptions): FakeRuntime {
  const images = new FakeImages(pullError);
  const pods = new FakePods({ clock, images, addresses: new AddressPool(podCidr) });
  return {
    pods,
    images,
    streams: new FakeStreams(pods, clock),
    info: async () => info,
    changes: (signal) => pods.changes(signal),
    close: async () => {},
    exit: (containerId, exitCode, reason) => pods.find(containerId).exit(exitCode, reason),
  };
}

const info: RuntimeInfo = {
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
    strictGroups: true,
  },
};
