/** The settings of a pod's sandbox: everything that its containers share. */
export interface SandboxSpec {
  name: string;
  namespace: string;
  uid: string;
  /** Counts the sandboxes that the pod has had. */
  attempt: number;
  /** Empty with host networking: the host's name is used. */
  hostname: string;
  /** The content of resolv.conf; absent: the host's. */
  dns?: { servers: string[]; searches: string[]; options: string[] };
  /** The host's namespaces that the pod uses. */
  host: { network: boolean; pid: boolean; ipc: boolean; users: boolean };
  /** All containers share one process namespace. */
  shareProcesses: boolean;
  /** A cgroup path in the form of the driver's `cgroupDriver`. Defaults to the runtime's choice. */
  cgroupParent?: string | undefined;
  ports: PortMapping[];
  /** The folder of its containers' log files (`ContainerSpec.logPath`); drivers without log files ignore it. */
  logDirectory: string;
  sysctls: Record<string, string>;
  security: SecuritySpec;
  labels: Record<string, string>;
  /** Stored with the sandbox, for a later process that adopts it. */
  annotations: Record<string, string>;
  /** A RuntimeClass's handler; "" is the runtime's default. */
  handler: string;
  /** For drivers that are not incremental: all containers, in order. */
  containers?: ContainerSpec[];
}

export interface PortMapping {
  protocol: "TCP" | "UDP" | "SCTP";
  containerPort: number;
  hostPort: number;
  hostIP: string;
}

export interface ContainerSpec {
  name: string;
  /** Counts this container's starts; name and attempt together are unique in a sandbox. */
  attempt: number;
  /** The image as the pod names it. */
  image: string;
  /** The id of the present image. */
  imageId: string;
  /** Replaces the image's entry point; absent: the image's. */
  command?: string[];
  args?: string[];
  /** "": the image's. */
  workingDirectory: string;
  env: { name: string; value: string }[];
  mounts: MountSpec[];
  devices: { hostPath: string; containerPath: string; permissions: string }[];
  resources: ResourceSpec;
  security: SecuritySpec;
  tty: boolean;
  stdin: boolean;
  /** Its stdin ends when the first attach ends. */
  stdinOnce: boolean;
  /** Relative to the sandbox's log directory. */
  logPath: string;
  /** The id of the container whose process namespace it uses (ephemeral containers). */
  targetContainerId?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface MountSpec {
  hostPath: string;
  containerPath: string;
  readOnly: boolean;
  recursiveReadOnly: boolean;
  propagation: "private" | "hostToContainer" | "bidirectional";
}

/** Linux limits; an absent one is not set. */
export interface ResourceSpec {
  cpuShares?: number;
  /** Microseconds of cpu per period. */
  cpuQuota?: number;
  cpuPeriod?: number;
  memoryBytes?: number;
  oomScoreAdjust?: number;
  /** cgroup v2 values by file name. */
  unified?: Record<string, string>;
}

/** Linux security settings; an absent one is the image's or the runtime's. */
export interface SecuritySpec {
  privileged: boolean;
  runAsUser?: number;
  runAsGroup?: number;
  /** A user name of the image, when no uid is known. */
  runAsUserName?: string;
  supplementalGroups: number[];
  /** Whether the image's own groups apply too. */
  supplementalGroupsPolicy: "Merge" | "Strict";
  readOnlyRootFilesystem: boolean;
  noNewPrivileges: boolean;
  addCapabilities: string[];
  dropCapabilities: string[];
  /** Defaults to the runtime's list; an empty list (an unmasked /proc) hides nothing. */
  maskedPaths?: string[];
  readOnlyPaths?: string[];
  seccomp: SecurityProfile;
  /**
   * Defaults to the runtime's profile where the host has AppArmor; a profile on a host without AppArmor is an error.
   */
  appArmor?: SecurityProfile;
  seLinux?: { user: string; role: string; type: string; level: string };
}

export interface SecurityProfile {
  type: "RuntimeDefault" | "Unconfined" | "Localhost";
  /** A file or profile name, for `Localhost`. */
  localhost?: string;
}

/** Upstream's defaults for a container without a security context. */
export function defaultSecurity(): SecuritySpec {
  return {
    privileged: false,
    supplementalGroups: [],
    supplementalGroupsPolicy: "Merge",
    readOnlyRootFilesystem: false,
    noNewPrivileges: false,
    addCapabilities: [],
    dropCapabilities: [],
    maskedPaths: [...defaultMaskedPaths],
    readOnlyPaths: [...defaultReadOnlyPaths],
    seccomp: { type: "Unconfined" },
  };
}

const defaultMaskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const defaultReadOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
