/**
 * The container runtime as the agent uses it: the port, its data, and the contract's tests (conformance/). Each driver
 * has a folder beside this file. This room knows no Kubernetes objects and does not decide what runs: see pods/.
 */

export { CgroupTree, removeCgroup } from "./cgroups.ts";
export { type ChangeSource, relistChanges } from "./changes.ts";
export {
  bindMount,
  isMounted,
  isMountPoint,
  mountFileSystem,
  mountMemory,
  mountsBelow,
  unmount,
  unmountBelow,
} from "./mounts.ts";
export {
  type AttachRequest,
  type CommandResult,
  type Container,
  type ContainerStart,
  type ContainerStats,
  type ExecRequest,
  type Image,
  type ImagePort,
  ignoreMissing,
  isRuntimeError,
  type LogOptions,
  type PodPort,
  type RegistryCredentials,
  type Runtime,
  type RuntimeCondition,
  RuntimeError,
  type RuntimeInfo,
  type RuntimeReason,
  type Sandbox,
  type SandboxStats,
  type Session,
  type StreamPort,
} from "./port.ts";
export {
  type ContainerSpec,
  defaultSecurity,
  type MountSpec,
  type PortMapping,
  type ResourceSpec,
  type SandboxSpec,
  type SecurityProfile,
  type SecuritySpec,
} from "./spec.ts";
