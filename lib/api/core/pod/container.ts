import type * as z from "zod";
import { boolean, int32, list, message, optional, required, string } from "../../meta/index.ts";
import { EnvFromSource, EnvVar } from "./env.ts";
import { Lifecycle, Probe } from "./probe.ts";
import { ContainerResizePolicy, ResourceRequirements } from "./resources.ts";
import { SecurityContext } from "./security.ts";

export const ContainerPort = message("io.k8s.api.core.v1.ContainerPort", () => ({
  name: optional(1, string),
  hostPort: optional(2, int32),
  containerPort: required(3, int32),
  protocol: optional(4, string, undefined, { default: "TCP" }),
  hostIP: optional(5, string),
}));
export type ContainerPort = z.infer<typeof ContainerPort>;

export const VolumeMount = message("io.k8s.api.core.v1.VolumeMount", () => ({
  name: required(1, string),
  readOnly: optional(2, boolean),
  mountPath: required(3, string),
  subPath: optional(4, string),
  mountPropagation: optional(5, string),
  subPathExpr: optional(6, string),
  recursiveReadOnly: optional(7, string),
}));
export type VolumeMount = z.infer<typeof VolumeMount>;

export const VolumeDevice = message("io.k8s.api.core.v1.VolumeDevice", () => ({
  name: required(1, string),
  devicePath: required(2, string),
}));
export type VolumeDevice = z.infer<typeof VolumeDevice>;

export const ContainerRestartRuleOnExitCodes = message("io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes", () => ({
  operator: required(1, string),
  values: optional(2, list(int32), undefined, { list: "set" }),
}));
export type ContainerRestartRuleOnExitCodes = z.infer<typeof ContainerRestartRuleOnExitCodes>;

export const ContainerRestartRule = message("io.k8s.api.core.v1.ContainerRestartRule", () => ({
  action: required(1, string),
  exitCodes: optional(2, ContainerRestartRuleOnExitCodes),
}));
export type ContainerRestartRule = z.infer<typeof ContainerRestartRule>;

export const Container = message("io.k8s.api.core.v1.Container", () => ({
  name: required(1, string),
  image: optional(2, string),
  command: optional(3, list(string), undefined, { list: "atomic" }),
  args: optional(4, list(string), undefined, { list: "atomic" }),
  workingDir: optional(5, string),
  ports: optional(6, list(ContainerPort), undefined, {
    list: "map",
    keys: ["containerPort", "protocol"],
    mergeKey: "containerPort",
  }),
  env: optional(7, list(EnvVar), undefined, { list: "map", keys: ["name"], mergeKey: "name" }),
  resources: optional(8, ResourceRequirements),
  volumeMounts: optional(9, list(VolumeMount), undefined, { list: "map", keys: ["mountPath"], mergeKey: "mountPath" }),
  livenessProbe: optional(10, Probe),
  readinessProbe: optional(11, Probe),
  lifecycle: optional(12, Lifecycle),
  terminationMessagePath: optional(13, string, undefined, { default: "/dev/termination-log" }),
  imagePullPolicy: optional(14, string),
  securityContext: optional(15, SecurityContext),
  stdin: optional(16, boolean),
  stdinOnce: optional(17, boolean),
  tty: optional(18, boolean),
  envFrom: optional(19, list(EnvFromSource), undefined, { list: "atomic" }),
  terminationMessagePolicy: optional(20, string, undefined, { default: "File" }),
  volumeDevices: optional(21, list(VolumeDevice), undefined, {
    list: "map",
    keys: ["devicePath"],
    mergeKey: "devicePath",
  }),
  startupProbe: optional(22, Probe),
  resizePolicy: optional(23, list(ContainerResizePolicy), undefined, { list: "atomic" }),
  restartPolicy: optional(24, string),
  restartPolicyRules: optional(25, list(ContainerRestartRule), undefined, { list: "atomic" }),
}));
export type Container = z.infer<typeof Container>;
