/** What a pod's sandbox is made from: everything that its containers share. */
export interface SandboxSpec {
  name: string;
  namespace: string;
  uid: string;
  /** Counts the sandboxes that the pod has had. */
  attempt: number;
  /** Empty with host networking: the host's own. */
  hostname: string;
  /** What resolv.conf says; absent leaves the host's. */
  dns?: { servers: string[]; searches: string[]; options: string[] };
  /** Which of the host's namespaces the pod lives in. */
  host: { network: boolean; pid: boolean; ipc: boolean; users: boolean };
  /** All containers see each other's processes. */
  shareProcesses: boolean;
  /** A cgroup path in the form of the driver's `cgroupDriver`; absent: the runtime's choice. */
  cgroupParent?: string;
  ports: PortMapping[];
  /** Files of its containers' logs lie here, under `ContainerSpec.logPath`; drivers without log files ignore it. */
  logDirectory: string;
  sysctls: Record<string, string>;
  security: SecuritySpec;
  labels: Record<string, string>;
  /** Kept with the sandbox: what a later process needs to adopt it. */
  annotations: Record<string, string>;
  /** A RuntimeClass's handler; "" is the default. */
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
  /** What the pod says. */
  image: string;
  /** The id of the image that was found or pulled. */
  imageId: string;
  /** Instead of the image's entry point; absent keeps it. */
  command?: string[];
  args?: string[];
  /** "" keeps the image's. */
  workingDirectory: string;
  env: { name: string; value: string }[];
  mounts: MountSpec[];
  devices: { hostPath: string; containerPath: string; permissions: string }[];
  resources: ResourceSpec;
  security: SecuritySpec;
  tty: boolean;
  stdin: boolean;
  /** Its stdin ends with the first attach that ends. */
  stdinOnce: boolean;
  /** Relative to the sandbox's log directory. */
  logPath: string;
  /** The id of the container in whose process namespace it lives (ephemeral containers). */
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
  /** A user name from the image, where no number is known. */
  runAsUserName?: string;
  supplementalGroups: number[];
  /** Whether the image's own groups count too. */
  supplementalGroupsPolicy: "Merge" | "Strict";
  readOnlyRootFilesystem: boolean;
  noNewPrivileges: boolean;
  addCapabilities: string[];
  dropCapabilities: string[];
  /** Absent: the runtime's default list; empty (an unmasked /proc) hides nothing. */
  maskedPaths?: string[];
  readOnlyPaths?: string[];
  seccomp: SecurityProfile;
  /** Absent: the runtime's default where the host has AppArmor; naming one on a host without it fails. */
  appArmor?: SecurityProfile;
  seLinux?: { user: string; role: string; type: string; level: string };
}

export interface SecurityProfile {
  type: "RuntimeDefault" | "Unconfined" | "Localhost";
  /** A file or profile name, for `Localhost`. */
  localhost?: string;
}

/** Settings that take nothing away and add nothing: upstream's defaults for a container that says nothing. */
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
