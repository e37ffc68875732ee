import type { Container } from "#agent/runtime";
import { marks } from "./convert.ts";

interface Metadata {
  name: string;
  attempt: number;
  namespace: string;
  uid: string;
}
export interface SandboxItem {
  id: string;
  metadata: Metadata;
  state: "SANDBOX_READY" | "SANDBOX_NOTREADY";
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
/** What PodSandboxStatus answers: the item, with its network. */
export interface SandboxStatus extends SandboxItem {
  network: { ip: string; additional_ips: { ip: string }[] } | null;
}
export interface ContainerItem {
  id: string;
  pod_sandbox_id: string;
  metadata: { name: string; attempt: number };
  state: "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" | "CONTAINER_UNKNOWN";
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerStatus {
  state: ContainerItem["state"];
  started_at: number;
  finished_at: number;
  exit_code: number;
  reason: string;
  message: string;
  image_ref: string;
  log_path: string;
  /** Absent for runtimes that do not report it. */
  user?: { linux: { uid: number; gid: number; supplemental_groups: number[] } | null } | null;
}

/** CRI's times are in nanoseconds. */
export const milliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1e6);

const states = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
  CONTAINER_UNKNOWN: "unknown",
} as const;

export function containerView(item: ContainerItem, status: ContainerStatus | undefined): Container {
  const state = states[status?.state ?? item.state];
  return {
    id: item.id,
    sandboxId: item.pod_sandbox_id,
    name: item.metadata.name,
    attempt: item.metadata.attempt,
    state,
    createdAt: milliseconds(item.created_at),
    ...(status?.started_at ? { startedAt: milliseconds(status.started_at) } : {}),
    ...(status?.finished_at ? { finishedAt: milliseconds(status.finished_at) } : {}),
    ...(status && state === "exited" ? { exitCode: status.exit_code } : {}),
    ...(status?.reason ? { reason: status.reason } : {}),
    ...(status?.message ? { message: status.message } : {}),
    image: item.annotations[marks.image] ?? "",
    imageId: status?.image_ref ?? "",
    ...(status?.log_path ? { logPath: status.log_path } : {}),
    ...(status?.user?.linux ? { user: userOf(status.user.linux) } : {}),
    labels: item.labels,
    annotations: item.annotations,
  };
}

type LinuxUser = NonNullable<NonNullable<ContainerStatus["user"]>["linux"]>;

const userOf = ({ uid, gid, supplemental_groups }: LinuxUser) => ({
  ...{ uid, gid, supplementalGroups: supplemental_groups },
});
