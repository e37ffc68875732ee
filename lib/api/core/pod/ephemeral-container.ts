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
  name: required(1, string, undefined, { proto: ephemeralContainerPlace }),
  targetContainerName: optional(2, string),
  image: optional(2, string, undefined, { proto: ephemeralContainerPlace }),
  command: optional(3, list(string), undefined, { list: "atomic", proto: ephemeralContainerPlace }),
  args: optional(4, list(string), undefined, { list: "atomic", proto: ephemeralContainerPlace }),
  workingDir: optional(5, string, undefined, { proto: ephemeralContainerPlace }),
  ports: optional(6, list(ContainerPort), undefined, {
    list: "map",
    keys: ["containerPort", "protocol"],
    mergeKey: "containerPort",
    proto: ephemeralContainerPlace,
  }),
  env: optional(7, list(EnvVar), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    proto: ephemeralContainerPlace,
  }),
  resources: optional(8, ResourceRequirements, undefined, { proto: ephemeralContainerPlace }),
  volumeMounts: optional(9, list(VolumeMount), undefined, {
    list: "map",
    keys: ["mountPath"],
    mergeKey: "mountPath",
    proto: ephemeralContainerPlace,
  }),
  livenessProbe: optional(10, Probe, undefined, { proto: ephemeralContainerPlace }),
  readinessProbe: optional(11, Probe, undefined, { proto: ephemeralContainerPlace }),
  lifecycle: optional(12, Lifecycle, undefined, { proto: ephemeralContainerPlace }),
  terminationMessagePath: optional(13, string, undefined, {
    default: "/dev/termination-log",
    proto: ephemeralContainerPlace,
  }),
  imagePullPolicy: optional(14, string, undefined, { proto: ephemeralContainerPlace }),
  securityContext: optional(15, SecurityContext, undefined, { proto: ephemeralContainerPlace }),
  stdin: optional(16, boolean, undefined, { proto: ephemeralContainerPlace }),
  stdinOnce: optional(17, boolean, undefined, { proto: ephemeralContainerPlace }),
  tty: optional(18, boolean, undefined, { proto: ephemeralContainerPlace }),
  envFrom: optional(19, list(EnvFromSource), undefined, { list: "atomic", proto: ephemeralContainerPlace }),
  terminationMessagePolicy: optional(20, string, undefined, { default: "File", proto: ephemeralContainerPlace }),
  volumeDevices: optional(21, list(VolumeDevice), undefined, {
    list: "map",
    keys: ["devicePath"],
    mergeKey: "devicePath",
    proto: ephemeralContainerPlace,
  }),
  startupProbe: optional(22, Probe, undefined, { proto: ephemeralContainerPlace }),
  resizePolicy: optional(23, list(ContainerResizePolicy), undefined, {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
  restartPolicy: optional(24, string, undefined, { proto: ephemeralContainerPlace }),
  restartPolicyRules: optional(25, list(ContainerRestartRule), undefined, {
    list: "atomic",
    proto: ephemeralContainerPlace,
  }),
}));
export type EphemeralContainer = z.infer<typeof EphemeralContainer>;
