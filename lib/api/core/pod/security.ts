import type * as z from "zod";
import { boolean, int64, list, message, optional, required, string } from "../../meta/index.ts";

export const Capabilities = message("io.k8s.api.core.v1.Capabilities", () => ({
  add: optional(1, list(string), undefined, { list: "atomic" }),
  drop: optional(2, list(string), undefined, { list: "atomic" }),
}));
export type Capabilities = z.infer<typeof Capabilities>;

export const SELinuxOptions = message("io.k8s.api.core.v1.SELinuxOptions", () => ({
  user: optional(1, string),
  role: optional(2, string),
  type: optional(3, string),
  level: optional(4, string),
}));
export type SELinuxOptions = z.infer<typeof SELinuxOptions>;

export const WindowsSecurityContextOptions = message("io.k8s.api.core.v1.WindowsSecurityContextOptions", () => ({
  gmsaCredentialSpecName: optional(1, string),
  gmsaCredentialSpec: optional(2, string),
  runAsUserName: optional(3, string),
  hostProcess: optional(4, boolean),
}));
export type WindowsSecurityContextOptions = z.infer<typeof WindowsSecurityContextOptions>;

export const SeccompProfile = message("io.k8s.api.core.v1.SeccompProfile", () => ({
  type: required(1, string),
  localhostProfile: optional(2, string),
}));
export type SeccompProfile = z.infer<typeof SeccompProfile>;

export const AppArmorProfile = message("io.k8s.api.core.v1.AppArmorProfile", () => ({
  type: required(1, string),
  localhostProfile: optional(2, string),
}));
export type AppArmorProfile = z.infer<typeof AppArmorProfile>;

export const SecurityContext = message("io.k8s.api.core.v1.SecurityContext", () => ({
  capabilities: optional(1, Capabilities),
  privileged: optional(2, boolean),
  seLinuxOptions: optional(3, SELinuxOptions),
  runAsUser: optional(4, int64),
  runAsNonRoot: optional(5, boolean),
  readOnlyRootFilesystem: optional(6, boolean),
  allowPrivilegeEscalation: optional(7, boolean),
  runAsGroup: optional(8, int64),
  procMount: optional(9, string),
  windowsOptions: optional(10, WindowsSecurityContextOptions),
  seccompProfile: optional(11, SeccompProfile),
  appArmorProfile: optional(12, AppArmorProfile),
}));
export type SecurityContext = z.infer<typeof SecurityContext>;

export const Sysctl = message("io.k8s.api.core.v1.Sysctl", () => ({
  name: required(1, string),
  value: required(2, string),
}));
export type Sysctl = z.infer<typeof Sysctl>;

export const PodSecurityContext = message("io.k8s.api.core.v1.PodSecurityContext", () => ({
  seLinuxOptions: optional(1, SELinuxOptions),
  runAsUser: optional(2, int64),
  runAsNonRoot: optional(3, boolean),
  supplementalGroups: optional(4, list(int64), undefined, { list: "atomic" }),
  fsGroup: optional(5, int64),
  runAsGroup: optional(6, int64),
  sysctls: optional(7, list(Sysctl), undefined, { list: "atomic" }),
  windowsOptions: optional(8, WindowsSecurityContextOptions),
  fsGroupChangePolicy: optional(9, string),
  seccompProfile: optional(10, SeccompProfile),
  appArmorProfile: optional(11, AppArmorProfile),
  supplementalGroupsPolicy: optional(12, string),
  seLinuxChangePolicy: optional(13, string),
}));
export type PodSecurityContext = z.infer<typeof PodSecurityContext>;
