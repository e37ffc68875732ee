import type * as z from "zod";
import { boolean, list, message, optional, required, string } from "../../meta/index.ts";
import { ContainerPort, ContainerRestartRule, VolumeDevice, VolumeMount } from "./container.ts";
import { EnvFromSource, EnvVar } from "./env.ts";
import { Lifecycle, Probe } from "./probe.ts";
import { ContainerResizePolicy, ResourceRequirements } from "./resources.ts";
import { SecurityContext } from "./security.ts";

const ephemeralContainerPlace = {
  field: "ephemeralContainerCommon",
  n: 1,
  message: "io.k8s.api.core.v1.EphemeralContainerCommon",
};

export const EphemeralContainer = message("io.k8s.api.core.v1.EphemeralContainer", () => ({
  name: required(1, string, "Name of the container, unique in the pod.", { proto: ephemeralContainerPlace }),
  targetContainerName: optional(2, string, "The container whose processes it sees."),
  image: optional(2, string, "The image.", { proto: ephemeralContainerPlace }),
  command: optional(3, list(string), "The program; the image's when absent.", {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
  args: optional(4, list(string), "Its arguments; the image's when absent.", {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
  workingDir: optional(5, string, "Where the program starts; the image's when absent.", {
    proto: ephemeralContainerPlace,
  }),
  ports: optional(6, list(ContainerPort), "Ports that the container offers.", {
    list: "map",
    keys: ["containerPort", "protocol"],
    mergeKey: "containerPort",
    proto: ephemeralContainerPlace,
  }),
  env: optional(7, list(EnvVar), "Environment variables.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    proto: ephemeralContainerPlace,
  }),
  resources: optional(8, ResourceRequirements, "Resource requests and limits.", {
    printed: true,
    proto: ephemeralContainerPlace,
  }),
  volumeMounts: optional(9, list(VolumeMount), "Volumes in the container's file system.", {
    list: "map",
    keys: ["mountPath"],
    mergeKey: "mountPath",
    proto: ephemeralContainerPlace,
  }),
  livenessProbe: optional(10, Probe, "When it fails, the container is restarted.", {
    proto: ephemeralContainerPlace,
  }),
  readinessProbe: optional(11, Probe, "While it fails, the pod receives no service traffic.", {
    proto: ephemeralContainerPlace,
  }),
  lifecycle: optional(12, Lifecycle, "Handlers for the start and the termination of the container.", {
    proto: ephemeralContainerPlace,
  }),
  terminationMessagePath: optional(13, string, "The file whose text is shown when the container has ended.", {
    default: "/dev/termination-log",
    proto: ephemeralContainerPlace,
  }),
  imagePullPolicy: optional(14, string, "Always, IfNotPresent or Never.", {
    proto: ephemeralContainerPlace,
    values: ["Always", "IfNotPresent", "Never"],
  }),
  securityContext: optional(15, SecurityContext, "Rights of the container.", { proto: ephemeralContainerPlace }),
  stdin: optional(16, boolean, "Whether there is standard input.", { proto: ephemeralContainerPlace }),
  stdinOnce: optional(17, boolean, "Whether standard input ends with its first client.", {
    proto: ephemeralContainerPlace,
  }),
  tty: optional(18, boolean, "Whether there is a terminal.", { proto: ephemeralContainerPlace }),
  envFrom: optional(19, list(EnvFromSource), "Where further environment variables come from.", {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
  terminationMessagePolicy: optional(20, string, "File, or FallbackToLogsOnError to show the log's end.", {
    default: "File",
    proto: ephemeralContainerPlace,
    values: ["FallbackToLogsOnError", "File"],
  }),
  volumeDevices: optional(21, list(VolumeDevice), "Volumes as block devices.", {
    list: "map",
    keys: ["devicePath"],
    mergeKey: "devicePath",
    proto: ephemeralContainerPlace,
  }),
  startupProbe: optional(22, Probe, "Until it succeeds, the other probes wait.", { proto: ephemeralContainerPlace }),
  resizePolicy: optional(23, list(ContainerResizePolicy), "What a change of resources needs.", {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
  restartPolicy: optional(
    24,
    string,
    "Always makes an init container a sidecar; in other containers it overrides the pod's restart policy.",
    { proto: ephemeralContainerPlace, isPointer: true },
  ),
  restartPolicyRules: optional(25, list(ContainerRestartRule), "Restart rules by exit code.", {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
}));
export type EphemeralContainer = z.infer<typeof EphemeralContainer>;
