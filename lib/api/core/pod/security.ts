import type * as z from "zod";
import { boolean, int64, list, message, optional, required, string } from "../../meta/index.ts";

export const Capabilities = message("io.k8s.api.core.v1.Capabilities", () => ({
  add: optional(1, list(string), "Capabilities to add.", { list: "atomic" }),
  drop: optional(2, list(string), "Capabilities to drop.", { list: "atomic" }),
}));
export type Capabilities = z.infer<typeof Capabilities>;

export const SELinuxOptions = message("io.k8s.api.core.v1.SELinuxOptions", () => ({
  user: optional(1, string, "SELinux user."),
  role: optional(2, string, "SELinux role."),
  type: optional(3, string, "SELinux type."),
  level: optional(4, string, "SELinux level."),
}));
export type SELinuxOptions = z.infer<typeof SELinuxOptions>;

export const WindowsSecurityContextOptions = message("io.k8s.api.core.v1.WindowsSecurityContextOptions", () => ({
  gmsaCredentialSpecName: optional(1, string, "Name of the credential spec.", { isPointer: true }),
  gmsaCredentialSpec: optional(2, string, "The credential spec itself.", { isPointer: true }),
  runAsUserName: optional(3, string, "The user that the program runs as.", { isPointer: true }),
  hostProcess: optional(4, boolean, "Whether it runs as a process of the host.", { isPointer: true }),
}));
export type WindowsSecurityContextOptions = z.infer<typeof WindowsSecurityContextOptions>;

export const SeccompProfile = message("io.k8s.api.core.v1.SeccompProfile", () => ({
  type: required(1, string, "Localhost, RuntimeDefault or Unconfined.", {
    values: ["Localhost", "RuntimeDefault", "Unconfined"],
  }),
  localhostProfile: optional(2, string, "The profile's file on the node, for type Localhost.", { isPointer: true }),
}));
export type SeccompProfile = z.infer<typeof SeccompProfile>;

export const AppArmorProfile = message("io.k8s.api.core.v1.AppArmorProfile", () => ({
  type: required(1, string, "Localhost, RuntimeDefault or Unconfined.", {
    values: ["Localhost", "RuntimeDefault", "Unconfined"],
  }),
  localhostProfile: optional(2, string, "The profile's name on the node, for type Localhost.", { isPointer: true }),
}));
export type AppArmorProfile = z.infer<typeof AppArmorProfile>;

export const SecurityContext = message("io.k8s.api.core.v1.SecurityContext", () => ({
  capabilities: optional(1, Capabilities, "Linux capabilities beyond or below the runtime's."),
  privileged: optional(2, boolean, "Whether the container may do what root on the node may.", { isPointer: true }),
  seLinuxOptions: optional(3, SELinuxOptions, "SELinux label of the container."),
  runAsUser: optional(4, int64, "User id of the program.", { isPointer: true }),
  runAsNonRoot: optional(5, boolean, "Whether the container must not run as root.", { isPointer: true }),
  readOnlyRootFilesystem: optional(6, boolean, "Whether the root file system can only be read.", { isPointer: true }),
  allowPrivilegeEscalation: optional(7, boolean, "Whether a process may gain more rights than its parent.", {
    isPointer: true,
  }),
  runAsGroup: optional(8, int64, "Group id of the program.", { isPointer: true }),
  procMount: optional(9, string, "Masking of /proc: Default or Unmasked.", {
    isPointer: true,
    values: ["Default", "Unmasked"],
  }),
  windowsOptions: optional(10, WindowsSecurityContextOptions, "Settings for Windows."),
  seccompProfile: optional(11, SeccompProfile, "Which system calls are allowed."),
  appArmorProfile: optional(12, AppArmorProfile, "AppArmor profile of the container."),
}));
export type SecurityContext = z.infer<typeof SecurityContext>;

export const Sysctl = message("io.k8s.api.core.v1.Sysctl", () => ({
  name: required(1, string, "Name of the kernel setting."),
  value: required(2, string, "Its value."),
}));
export type Sysctl = z.infer<typeof Sysctl>;

export const PodSecurityContext = message("io.k8s.api.core.v1.PodSecurityContext", () => ({
  seLinuxOptions: optional(1, SELinuxOptions, "SELinux label of all containers."),
  runAsUser: optional(2, int64, "User id of all containers.", { isPointer: true }),
  runAsNonRoot: optional(3, boolean, "Whether the container must not run as root.", { isPointer: true }),
  supplementalGroups: optional(4, list(int64), "Further groups of the first process.", { list: "atomic" }),
  fsGroup: optional(5, int64, "Group that owns the volumes.", { isPointer: true }),
  runAsGroup: optional(6, int64, "Group id of all containers.", { isPointer: true }),
  sysctls: optional(7, list(Sysctl), "Kernel settings of the pod.", { list: "atomic" }),
  windowsOptions: optional(8, WindowsSecurityContextOptions, "Settings for Windows."),
  fsGroupChangePolicy: optional(9, string, "When volumes change their owner: Always or OnRootMismatch.", {
    isPointer: true,
    values: ["Always", "OnRootMismatch"],
  }),
  seccompProfile: optional(10, SeccompProfile, "Which system calls are allowed."),
  appArmorProfile: optional(11, AppArmorProfile, "AppArmor profile of all containers."),
  supplementalGroupsPolicy: optional(12, string, "Whether groups of the image count too: Merge or Strict.", {
    isPointer: true,
    values: ["Merge", "Strict"],
  }),
  seLinuxChangePolicy: optional(13, string, "How volumes get their SELinux label: MountOption or Recursive.", {
    isPointer: true,
  }),
}));
export type PodSecurityContext = z.infer<typeof PodSecurityContext>;
