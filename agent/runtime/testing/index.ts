/** Minimal specs, for tests and benchmarks of runtimes. */
import { type ContainerSpec, defaultSecurity, type SandboxSpec } from "../spec.ts";

type Given<T, Needed extends keyof T> = Pick<T, Needed> & Partial<T>;

/** A sandbox with its own network and default settings. */
export const plainSandbox = (
  given: Given<SandboxSpec, "name" | "namespace" | "uid" | "logDirectory">,
): SandboxSpec => ({
  attempt: 0,
  hostname: given.name,
  host: { network: false, pid: false, ipc: false, users: true },
  shareProcesses: false,
  ports: [],
  sysctls: {},
  security: defaultSecurity(),
  labels: {},
  annotations: {},
  handler: "",
  ...given,
});

/** A container named `main` without mounts, limits or input. */
export const plainContainer = (given: Given<ContainerSpec, "image" | "imageId">): ContainerSpec => ({
  name: "main",
  attempt: 0,
  workingDirectory: "",
  env: [],
  mounts: [],
  devices: [],
  resources: {},
  security: defaultSecurity(),
  tty: false,
  stdin: false,
  stdinOnce: false,
  logPath: `${given.name ?? "main"}_${given.attempt ?? 0}.log`,
  labels: {},
  annotations: {},
  ...given,
});
