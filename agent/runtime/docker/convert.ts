import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ContainerSpec,
  type ContainerStart,
  type MountSpec,
  type ResourceSpec,
  RuntimeError,
  type SandboxSpec,
  type SecuritySpec,
} from "#agent/runtime";
import type { EngineVersion } from "./engine.ts";
import { marks, type StoredRecord } from "./items.ts";

/** What is written into the requests beside the pod. */
export interface Surroundings {
  owner: string;
  engine: EngineVersion;
  /** The image of sandboxes. */
  sandboxImage: string;
  /** The resolv.conf of the pod; absent: the engine's. */
  resolvConf?: string | undefined;
  /** Whether a score below the process's own can be set. */
  mayLowerOomScore: boolean;
}

/** As cri-dockerd names them: a repeated creation is refused, since the attempt is part of the name. */
export const sandboxName = ({ name, namespace, uid, attempt }: SandboxSpec): string =>
  ["k8s", "POD", name, namespace, uid, attempt].join("_");

/** Unlike cri-dockerd's, with the sandbox's attempt. */
export const containerName = ({ sandbox, container }: ContainerStart): string =>
  ["k8s", container.name, sandbox.name, sandbox.namespace, sandbox.uid, sandbox.attempt, container.attempt].join("_");

const podMarks = (spec: SandboxSpec, owner: string): Record<string, string> => ({
  [marks.podName]: spec.name,
  [marks.podNamespace]: spec.namespace,
  [marks.podUid]: spec.uid,
  [marks.owner]: owner,
});

/** Docker bounds its own copy of the output; the files of the pod are written from it. */
const logConfig = ({ name }: EngineVersion): object => ({
  Type: name === "podman" ? "k8s-file" : "json-file",
  Config: name === "podman" ? { "max-size": "20m" } : { "max-size": "10m", "max-file": "2" },
});

/** Throws `unsupported` with the feature's name for what the engine does not have. */
export function refuseUnsupported(spec: SandboxSpec): void {
  if (!spec.host.users) {
    // The text of upstream's userns manager.
    const why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";
    throw new RuntimeError("unsupported", why);
  }
  if (spec.handler !== "") {
    throw new RuntimeError("unsupported", `runtime handlers are not supported by this driver: ${spec.handler}`);
  }
}

/** The body that creates a pod's sandbox. */
export async function sandboxBody(spec: SandboxSpec, around: Surroundings): Promise<object> {
  const record: StoredRecord = {
    labels: spec.labels,
    annotations: spec.annotations,
    attempt: spec.attempt,
    hostNetwork: spec.host.network,
  };
  return {
    Image: around.sandboxImage,
    ...(spec.host.network ? {} : { Hostname: spec.hostname }),
    ...userOf(spec.security),
    Labels: { ...podMarks(spec, around.owner), [marks.type]: "podsandbox", [marks.record]: JSON.stringify(record) },
    HostConfig: {
      NetworkMode: spec.host.network ? "host" : "none",
      IpcMode: spec.host.ipc ? "host" : "shareable",
      PidMode: spec.host.pid ? "host" : "",
      ...(spec.host.network ? { UTSMode: "host" } : {}),
      Sysctls: spec.sysctls,
      ...cgroupOf(spec),
      // The least of all scores that a pod's process has (cri-dockerd's defaultSandboxOOMAdj).
      OomScoreAdj: around.mayLowerOomScore ? -998 : 0,
      SecurityOpt: await securityOptions({ ...spec.security, noNewPrivileges: true }, around.engine),
      ReadonlyRootfs: spec.security.readOnlyRootFilesystem,
      LogConfig: { Type: "none", Config: {} },
      RestartPolicy: { Name: "no" },
    },
  };
}

/** The body that creates a container in a sandbox. Throws `unsupported`, or `create` for an unreadable profile. */
export async function containerBody(start: ContainerStart, around: Surroundings): Promise<object> {
  const { sandbox, container, sandboxId } = start;
  const { security } = container;
  const shared = `container:${sandboxId}`;
  const record: StoredRecord = {
    labels: container.labels,
    annotations: container.annotations,
    attempt: container.attempt,
    sandboxAttempt: sandbox.attempt,
    image: container.image,
  };
  if (security.supplementalGroupsPolicy === "Strict") {
    throw new RuntimeError("unsupported", "supplementalGroupsPolicy Strict is not supported by this runtime");
  }
  return {
    Image: container.imageId,
    ...(container.command?.length ? { Entrypoint: container.command } : {}),
    ...(container.args?.length ? { Cmd: container.args } : {}),
    WorkingDir: container.workingDirectory,
    Env: container.env.map(({ name, value }) => `${name}=${value}`),
    Tty: container.tty,
    OpenStdin: container.stdin,
    StdinOnce: container.stdinOnce,
    // Docker takes it from the sandbox, and refuses it here.
    ...(around.engine.name === "podman" && !sandbox.host.network ? { Hostname: sandbox.hostname } : {}),
    Healthcheck: { Test: ["NONE"] },
    ...userOf(security),
    Labels: {
      ...podMarks(sandbox, around.owner),
      [marks.type]: "container",
      [marks.containerName]: container.name,
      [marks.sandboxId]: sandboxId,
      [marks.logPath]: sandbox.logDirectory === "" ? "" : join(sandbox.logDirectory, container.logPath),
      [marks.record]: JSON.stringify(record),
    },
    HostConfig: {
      NetworkMode: sandbox.host.network ? "host" : shared,
      IpcMode: sandbox.host.ipc ? "host" : shared,
      PidMode: pidMode(start),
      ...(sandbox.host.network ? { UTSMode: "host" } : {}),
      ...cgroupOf(sandbox),
      ...limits(container.resources, around),
      Privileged: security.privileged,
      CapAdd: security.addCapabilities,
      CapDrop: security.dropCapabilities,
      GroupAdd: security.supplementalGroups.map(String),
      ReadonlyRootfs: security.readOnlyRootFilesystem,
      SecurityOpt: await securityOptions(security, around.engine),
      ...(security.privileged ? {} : hiddenPaths(security)),
      Devices: container.devices.map(({ hostPath, containerPath, permissions }) => ({
        PathOnHost: hostPath,
        PathInContainer: containerPath,
        CgroupPermissions: permissions,
      })),
      Mounts: mountsOf(container, around),
      LogConfig: logConfig(around.engine),
      RestartPolicy: { Name: "no" },
    },
  };
}

function pidMode({ sandbox, container, sandboxId }: ContainerStart): string {
  if (container.targetContainerId !== undefined) return `container:${container.targetContainerId}`;
  if (sandbox.host.pid) return "host";
  return sandbox.shareProcesses ? `container:${sandboxId}` : "";
}

const cgroupOf = ({ cgroupParent }: SandboxSpec): object =>
  cgroupParent === undefined ? {} : { CgroupParent: cgroupParent };

function userOf({ runAsUser, runAsUserName, runAsGroup }: SecuritySpec): object {
  const user = runAsUser ?? runAsUserName;
  if (user !== undefined) return { User: runAsGroup === undefined ? String(user) : `${user}:${runAsGroup}` };
  // A group without a user is root's, as for the CRI.
  return runAsGroup === undefined ? {} : { User: `0:${runAsGroup}` };
}

const hiddenPaths = ({ maskedPaths, readOnlyPaths }: SecuritySpec): object => ({
  ...(maskedPaths ? { MaskedPaths: maskedPaths } : {}),
  ...(readOnlyPaths ? { ReadonlyPaths: readOnlyPaths } : {}),
});

async function securityOptions(security: SecuritySpec, engine: EngineVersion): Promise<string[]> {
  const { seccomp, appArmor, seLinux, noNewPrivileges, privileged } = security;
  const options: string[] = noNewPrivileges ? ["no-new-privileges"] : [];
  if (seccomp.type === "Unconfined") options.push("seccomp=unconfined");
  else if (seccomp.type === "Localhost" && !privileged) {
    const path = seccomp.localhost ?? "";
    // Docker takes the profile itself, Podman its path.
    const content = await readFile(path, "utf8").catch((error: unknown) => {
      throw new RuntimeError("create", `cannot load seccomp profile ${path}`, { cause: error });
    });
    options.push(`seccomp=${engine.name === "podman" ? path : content}`);
  }
  if (appArmor?.type === "Unconfined") options.push("apparmor=unconfined");
  else if (appArmor?.type === "Localhost") options.push(`apparmor=${appArmor.localhost}`);
  for (const [name, value] of Object.entries(seLinux ?? {})) {
    if (value !== "") options.push(`label=${name}:${value}`);
  }
  return options;
}

/** Limits of a container. Swap is none of them: pods have no swap beside their memory. */
export function limits(spec: ResourceSpec, { mayLowerOomScore }: Pick<Surroundings, "mayLowerOomScore">): object {
  const score = spec.oomScoreAdjust;
  return {
    ...(spec.cpuShares === undefined ? {} : { CpuShares: spec.cpuShares }),
    ...(spec.cpuQuota === undefined ? {} : { CpuQuota: spec.cpuQuota }),
    ...(spec.cpuPeriod === undefined ? {} : { CpuPeriod: spec.cpuPeriod }),
    ...(spec.memoryBytes === undefined ? {} : { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
    ...(score === undefined ? {} : { OomScoreAdj: mayLowerOomScore ? score : Math.max(score, 0) }),
  };
}

const propagations = { private: "rprivate", hostToContainer: "rslave", bidirectional: "rshared" } as const;

function mountsOf({ mounts }: ContainerSpec, { resolvConf }: Surroundings): object[] {
  const bind = (mount: MountSpec): object => {
    if (mount.recursiveReadOnly) {
      const why = `mount ${mount.containerPath}: recursive read-only mounts are not supported by this runtime`;
      throw new RuntimeError("unsupported", why);
    }
    return {
      Type: "bind",
      Source: mount.hostPath,
      Target: mount.containerPath,
      ReadOnly: mount.readOnly,
      BindOptions: { Propagation: propagations[mount.propagation] },
    };
  };
  const isOwn = mounts.some(({ containerPath }) => containerPath === "/etc/resolv.conf");
  const own = { readOnly: false, recursiveReadOnly: false, propagation: "private" } as const;
  return [
    ...mounts.map(bind),
    ...(resolvConf === undefined || isOwn
      ? []
      : [bind({ hostPath: resolvConf, containerPath: "/etc/resolv.conf", ...own })]),
  ];
}
