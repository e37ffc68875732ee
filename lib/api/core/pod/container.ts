import type * as z from "zod";
import { boolean, int32, list, message, optional, required, string } from "../../meta/index.ts";
import { EnvFromSource, EnvVar } from "./env.ts";
import { Lifecycle, Probe } from "./probe.ts";
import { ContainerResizePolicy, ResourceRequirements } from "./resources.ts";
import { SecurityContext } from "./security.ts";

export const ContainerPort = message("io.k8s.api.core.v1.ContainerPort", () => ({
  name: optional(1, string, "Name by which services can refer to the port."),
  hostPort: optional(2, int32, "The port on the node."),
  containerPort: required(3, int32, "The port in the container."),
  protocol: optional(4, string, "TCP, UDP or SCTP.", { default: "TCP", values: ["SCTP", "TCP", "UDP"] }),
  hostIP: optional(5, string, "The node's address that the port is bound to."),
}));
export type ContainerPort = z.infer<typeof ContainerPort>;

export const VolumeMount = message("io.k8s.api.core.v1.VolumeMount", () => ({
  name: required(1, string, "The volume."),
  readOnly: optional(2, boolean, "Whether it is read-only."),
  mountPath: required(3, string, "Path in the container."),
  subPath: optional(4, string, "The part of the volume that is mounted."),
  mountPropagation: optional(
    5,
    string,
    "How mounts pass between node and container: None, HostToContainer or Bidirectional.",
    { isPointer: true, values: ["Bidirectional", "HostToContainer", "None"] },
  ),
  subPathExpr: optional(6, string, "As subPath, with variables of the container."),
  recursiveReadOnly: optional(7, string, "Whether mounts below are read-only too: Disabled, IfPossible or Enabled.", {
    isPointer: true,
  }),
  bindMountOptions: optional(8, list(string), "Options of the bind mount.", { list: "set", gated: true }),
}));
export type VolumeMount = z.infer<typeof VolumeMount>;

export const VolumeDevice = message("io.k8s.api.core.v1.VolumeDevice", () => ({
  name: required(1, string, "The volume, a claim."),
  devicePath: required(2, string, "Path of the device in the container."),
}));
export type VolumeDevice = z.infer<typeof VolumeDevice>;

export const ContainerRestartRuleOnExitCodes = message("io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes", () => ({
  operator: required(1, string, "In or NotIn."),
  values: optional(2, list(int32), "Exit codes.", { list: "set" }),
}));
export type ContainerRestartRuleOnExitCodes = z.infer<typeof ContainerRestartRuleOnExitCodes>;

export const ContainerRestartRule = message("io.k8s.api.core.v1.ContainerRestartRule", () => ({
  action: required(1, string, "What to do: Restart or RestartAllContainers."),
  exitCodes: optional(2, ContainerRestartRuleOnExitCodes, "For which exit codes."),
}));
export type ContainerRestartRule = z.infer<typeof ContainerRestartRule>;

export const Container = message("io.k8s.api.core.v1.Container", () => ({
  name: required(1, string, "Name of the container, unique in the pod."),
  image: optional(2, string, "The image."),
  command: optional(3, list(string), "The program; the image's when absent.", { list: "atomic" }),
  args: optional(4, list(string), "Its arguments; the image's when absent.", { list: "atomic" }),
  workingDir: optional(5, string, "Where the program starts; the image's when absent."),
  ports: optional(6, list(ContainerPort), "Ports that the container offers.", {
    list: "map",
    keys: ["containerPort", "protocol"],
    mergeKey: "containerPort",
  }),
  env: optional(7, list(EnvVar), "Environment variables.", { list: "map", keys: ["name"], mergeKey: "name" }),
  resources: optional(8, ResourceRequirements, "Resource requests and limits.", { printed: true }),
  volumeMounts: optional(9, list(VolumeMount), "Volumes in the container's file system.", {
    list: "map",
    keys: ["mountPath"],
    mergeKey: "mountPath",
  }),
  livenessProbe: optional(10, Probe, "When it fails, the container is restarted."),
  readinessProbe: optional(11, Probe, "While it fails, the pod receives no service traffic."),
  lifecycle: optional(12, Lifecycle, "Handlers for the start and the termination of the container."),
  terminationMessagePath: optional(13, string, "The file whose text is shown when the container has ended.", {
    default: "/dev/termination-log",
  }),
  imagePullPolicy: optional(14, string, "Always, IfNotPresent or Never.", {
    values: ["Always", "IfNotPresent", "Never"],
  }),
  securityContext: optional(15, SecurityContext, "Rights of the container."),
  stdin: optional(16, boolean, "Whether there is standard input."),
  stdinOnce: optional(17, boolean, "Whether standard input ends with its first client."),
  tty: optional(18, boolean, "Whether there is a terminal."),
  envFrom: optional(19, list(EnvFromSource), "Where further environment variables come from.", { list: "atomic" }),
  terminationMessagePolicy: optional(20, string, "File, or FallbackToLogsOnError to show the log's end.", {
    default: "File",
    values: ["FallbackToLogsOnError", "File"],
  }),
  volumeDevices: optional(21, list(VolumeDevice), "Volumes as block devices.", {
    list: "map",
    keys: ["devicePath"],
    mergeKey: "devicePath",
  }),
  startupProbe: optional(22, Probe, "Until it succeeds, the other probes wait."),
  resizePolicy: optional(23, list(ContainerResizePolicy), "What a change of resources needs.", { list: "atomic" }),
  restartPolicy: optional(
    24,
    string,
    "Always makes an init container a sidecar; in other containers it overrides the pod's restart policy.",
    { isPointer: true },
  ),
  restartPolicyRules: optional(25, list(ContainerRestartRule), "Restart rules by exit code.", {
    list: "atomic",
  }),
}));
export type Container = z.infer<typeof Container>;
