import type { Pod } from "#api";

/** Kernel settings of a pod that do not affect other pods (upstream's safe set). */
const safeSysctls = new Set([
  ...["kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"],
  ...["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports"],
  ...["net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"],
  ...["net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"],
]);

/** Why this node rejects a pod that is bound to it; undefined when it admits it. Reasons and texts are upstream's. */
export function rejection({ spec }: Pod): { reason: string; message: string } | undefined {
  if (spec?.os && spec.os.name !== "linux") {
    return { reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS" };
  }
  for (const { name: spelled } of spec?.securityContext?.sysctls ?? []) {
    const name = spelled.includes("/") ? spelled.replaceAll("/", ".") : spelled;
    if (!safeSysctls.has(name)) {
      return { reason: "SysctlForbidden", message: `forbidden sysctl: "${spelled}" not allowlisted` };
    }
    if (spec?.hostNetwork && name.startsWith("net.")) {
      const why = `forbidden sysctl: "${spelled}" not allowed with host net enabled`;
      return { reason: "SysctlForbidden", message: why };
    }
    if (spec?.hostIPC && name.startsWith("kernel.shm")) {
      const why = `forbidden sysctl: "${spelled}" not allowed with host ipc enabled`;
      return { reason: "SysctlForbidden", message: why };
    }
  }
  if (spec?.resourceClaims?.length) {
    return { reason: "UnexpectedAdmissionError", message: "resource claims are not supported by this node" };
  }
  return undefined;
}
