import {
  type ContainerSpec,
  type ContainerStart,
  type ResourceSpec,
  RuntimeError,
  type SandboxSpec,
  type SecurityProfile,
  type SecuritySpec,
} from "#agent/runtime";

/** The driver's own labels and annotations, beside the caller's. They have upstream's names, for other tools. */
export const marks = {
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
  /** The agent that owns it: several agents may share one runtime. */
  owner: "skiff.dev/node",
  /** The image as the pod names it. */
  image: "skiff.dev/image",
} as const;

const podLabels = (spec: SandboxSpec, owner: string): Record<string, string> => ({
  ...spec.labels,
  [marks.podName]: spec.name,
  [marks.podNamespace]: spec.namespace,
  [marks.podUid]: spec.uid,
  [marks.owner]: owner,
});

/** A sandbox as CRI's PodSandboxConfig. Throws `unsupported` for user namespaces. */
export function sandboxConfig(spec: SandboxSpec, owner: string): object {
  if (!spec.host.users) {
    // The text of upstream's userns manager.
    const why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";
    throw new RuntimeError("unsupported", why);
  }
  return {
    metadata: { name: spec.name, namespace: spec.namespace, uid: spec.uid, attempt: spec.attempt },
    hostname: spec.hostname,
    log_directory: spec.logDirectory,
    ...(spec.dns ? { dns_config: spec.dns } : {}),
    port_mappings: spec.ports.map(({ protocol, containerPort, hostPort, hostIP }) => ({
      protocol,
      container_port: containerPort,
      host_port: hostPort,
      host_ip: hostIP,
    })),
    labels: podLabels(spec, owner),
    annotations: spec.annotations,
    linux: {
      ...(spec.cgroupParent === undefined ? {} : { cgroup_parent: spec.cgroupParent }),
      sysctls: spec.sysctls,
      security_context: {
        namespace_options: namespaceOptions(spec),
        privileged: spec.security.privileged,
        readonly_rootfs: spec.security.readOnlyRootFilesystem,
        supplemental_groups: spec.security.supplementalGroups,
        ...identity(spec.security),
        seccomp: profile(spec.security.seccomp),
      },
    },
  };
}

const namespaceOptions = (spec: SandboxSpec): object => ({
  network: spec.host.network ? "NODE" : "POD",
  pid: spec.host.pid ? "NODE" : spec.shareProcesses ? "POD" : "CONTAINER",
  ipc: spec.host.ipc ? "NODE" : "POD",
});

function identity(security: SecuritySpec): object {
  return {
    ...(security.runAsUser === undefined ? {} : { run_as_user: { value: security.runAsUser } }),
    ...(security.runAsGroup === undefined ? {} : { run_as_group: { value: security.runAsGroup } }),
    ...(security.seLinux ? { selinux_options: security.seLinux } : {}),
  };
}

const profile = ({ type, localhost }: SecurityProfile): object => ({
  profile_type: type,
  ...(localhost === undefined ? {} : { localhost_ref: localhost }),
});

const propagations = {
  private: "PROPAGATION_PRIVATE",
  hostToContainer: "PROPAGATION_HOST_TO_CONTAINER",
  bidirectional: "PROPAGATION_BIDIRECTIONAL",
} as const;

/** A container as CRI's ContainerConfig. */
export function containerConfig({ sandbox, container }: ContainerStart, owner: string): object {
  return {
    metadata: { name: container.name, attempt: container.attempt },
    image: { image: container.imageId, user_specified_image: container.image },
    command: container.command ?? [],
    args: container.args ?? [],
    working_dir: container.workingDirectory,
    envs: container.env.map(({ name, value }) => ({ key: name, value })),
    mounts: container.mounts.map((mount) => ({
      host_path: mount.hostPath,
      container_path: mount.containerPath,
      readonly: mount.readOnly,
      recursive_read_only: mount.recursiveReadOnly,
      propagation: propagations[mount.propagation],
    })),
    devices: container.devices.map(({ hostPath, containerPath, permissions }) => ({
      host_path: hostPath,
      container_path: containerPath,
      permissions,
    })),
    labels: {
      ...container.labels,
      ...podLabels({ ...sandbox, labels: {} }, owner),
      [marks.containerName]: container.name,
    },
    annotations: { ...container.annotations, [marks.image]: container.image },
    log_path: container.logPath,
    stdin: container.stdin,
    stdin_once: container.stdinOnce,
    tty: container.tty,
    linux: {
      resources: resources(container.resources),
      security_context: containerSecurity(sandbox, container),
    },
  };
}

function containerSecurity(sandbox: SandboxSpec, { security, targetContainerId }: ContainerSpec): object {
  const options = namespaceOptions(sandbox);
  return {
    privileged: security.privileged,
    readonly_rootfs: security.readOnlyRootFilesystem,
    no_new_privs: security.noNewPrivileges,
    supplemental_groups: security.supplementalGroups,
    supplemental_groups_policy: security.supplementalGroupsPolicy,
    capabilities: { add_capabilities: security.addCapabilities, drop_capabilities: security.dropCapabilities },
    namespace_options: targetContainerId ? { ...options, pid: "TARGET", target_id: targetContainerId } : options,
    masked_paths: security.maskedPaths ?? [],
    readonly_paths: security.readOnlyPaths ?? [],
    ...identity(security),
    ...(security.runAsUserName === undefined ? {} : { run_as_username: security.runAsUserName }),
    seccomp: profile(security.seccomp),
    ...(security.appArmor ? { apparmor: profile(security.appArmor) } : {}),
  };
}

/** Limits as CRI's LinuxContainerResources. */
export function resources(spec: ResourceSpec): object {
  return {
    cpu_shares: spec.cpuShares ?? 0,
    cpu_quota: spec.cpuQuota ?? 0,
    cpu_period: spec.cpuPeriod ?? 0,
    memory_limit_in_bytes: spec.memoryBytes ?? 0,
    oom_score_adj: spec.oomScoreAdjust ?? 0,
    unified: spec.unified ?? {},
  };
}
