import type { Container, Pod, SecurityContext } from "#api";
import type { NodeFacts } from "./context.ts";

/** Why a pod is rejected. Reasons and messages are upstream's. */
export interface Refusal {
  reason: string;
  message: string;
}

/** Kernel settings of a pod that do not affect other pods (upstream's safe set). */
const safeSysctls = new Set([
  ...["kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"],
  ...["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports"],
  ...["net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"],
  ...["net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"],
  ...["net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat"],
]);

/**
 * Why this node rejects a pod that is bound to it; undefined when it admits it. The checks are in the order of the
 * kubelet's admit handlers.
 */
export function rejection(pod: Pod, node: Pick<NodeFacts, "appArmor" | "strictGroups">): Refusal | undefined {
  return (
    sysctlRefusal(pod) ?? claimRefusal(pod) ?? osRefusal(pod) ?? groupsRefusal(pod, node) ?? appArmorRefusal(pod, node)
  );
}

/** Slashes separate the parts of a name if the first separator is one; dots are then part of a name. */
function normalized(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? name.replaceAll(/[./]/g, (separator) => (separator === "/" ? "." : "/")) : name;
}

function sysctlRefusal({ spec }: Pod): Refusal | undefined {
  for (const { name: spelled } of spec?.securityContext?.sysctls ?? []) {
    const name = normalized(spelled);
    const refuse = (why: string): Refusal => ({
      reason: "SysctlForbidden",
      message: `forbidden sysctl: ${JSON.stringify(name)} ${why}`,
    });
    if (!safeSysctls.has(name)) return refuse("not allowlisted");
    if (spec?.hostNetwork && name.startsWith("net.")) return refuse("not allowed with host net enabled");
    if (spec?.hostIPC && name.startsWith("kernel.shm")) return refuse("not allowed with host ipc enabled");
  }
  return undefined;
}

const claimRefusal = ({ spec }: Pod): Refusal | undefined =>
  spec?.resourceClaims?.length
    ? { reason: "UnexpectedAdmissionError", message: "resource claims are not supported by this node" }
    : undefined;

function osRefusal({ metadata, spec }: Pod): Refusal | undefined {
  if ((metadata.labels?.["kubernetes.io/os"] ?? "linux") !== "linux") {
    const message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
    return { reason: "PodOSSelectorNodeLabelDoesNotMatch", message };
  }
  if (!spec?.os || spec.os.name === "linux") return undefined;
  return { reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS" };
}

const groupsRefusal = ({ spec }: Pod, { strictGroups }: Pick<NodeFacts, "strictGroups">): Refusal | undefined =>
  spec?.securityContext?.supplementalGroupsPolicy === "Strict" && !strictGroups
    ? {
        reason: "SupplementalGroupsPolicyNotSupported",
        message: "SupplementalGroupsPolicy=Strict is not supported in this node",
      }
    : undefined;

/** A pod that has run before is not checked again, as upstream does. */
function appArmorRefusal({ spec, status }: Pod, { appArmor }: Pick<NodeFacts, "appArmor">): Refusal | undefined {
  if (appArmor || (status?.phase ?? "Pending") !== "Pending") return undefined;
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec ?? {};
  const contexts: (Pick<SecurityContext, "appArmorProfile"> | undefined)[] = [
    spec?.securityContext,
    ...[...containers, ...initContainers, ...(ephemeralContainers as Container[])].map(
      ({ securityContext }) => securityContext,
    ),
  ];
  const isRequired = contexts.some((one) => one?.appArmorProfile && one.appArmorProfile.type !== "Unconfined");
  if (!isRequired) return undefined;
  return { reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host" };
}
