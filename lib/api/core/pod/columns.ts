/** What `kubectl get pods` shows. */
import { ageColumn, ageOf, type Column, nameColumn } from "../../meta/index.ts";
import type { ContainerStatus } from "./container-status.ts";
import { hasEnded } from "./phase.ts";
import type { Pod } from "./spec.ts";
import { isSidecar } from "./totals.ts";

interface Summary {
  ready: number;
  total: number;
  status: string;
  restarts: number;
  /** When a container last ended before it was started again. */
  lastRestart: string | undefined;
}

const later = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined || (b !== undefined && b > a) ? b : a;
const endedAt = (status: ContainerStatus): string | undefined => status.lastState?.terminated?.finishedAt;

/** How a container ended, in one word. */
function endOf({
  reason,
  signal,
  exitCode,
}: {
  reason?: string | undefined;
  signal?: number | undefined;
  exitCode: number;
}): string {
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function summarize(pod: Pod): Summary {
  const { status = {}, spec, metadata } = pod;
  const phase = status.phase ?? "";
  const sidecars = new Set((spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const summary: Summary = {
    ready: 0,
    total: (spec?.containers ?? []).length + sidecars.size,
    status: status.reason || phase,
    restarts: 0,
    lastRestart: undefined,
  };
  const gated = (status.conditions ?? []).some(
    ({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated",
  );
  if (gated) summary.status = "SchedulingGated";
  const initializing = summarizeInit(pod, sidecars, summary);
  const initialized = (status.conditions ?? []).find(({ type }) => type === "Initialized")?.status === "True";
  if (!initializing || initialized) summarizeMain(pod, sidecars, summary);
  if (metadata.deletionTimestamp) {
    if (status.reason === "NodeLost") summary.status = "Unknown";
    else if (!hasEnded(pod)) summary.status = "Terminating";
  }
  return summary;
}

/** Looks at the init containers up to the first that is not through; whether there is one. */
function summarizeInit({ status, spec }: Pod, sidecars: ReadonlySet<string>, summary: Summary): boolean {
  for (const [index, container] of (status?.initContainerStatuses ?? []).entries()) {
    summary.restarts += container.restartCount;
    summary.lastRestart = later(summary.lastRestart, endedAt(container));
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started) {
      if (container.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.status = `Init:${endOf(terminated)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") summary.status = `Init:${waiting.reason}`;
    else summary.status = `Init:${index}/${(spec?.initContainers ?? []).length}`;
    return true;
  }
  return false;
}

function summarizeMain({ status }: Pod, sidecars: ReadonlySet<string>, summary: Summary): void {
  summary.restarts = 0;
  summary.lastRestart = undefined;
  for (const container of (status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name))) {
    summary.restarts += container.restartCount;
    summary.lastRestart = later(summary.lastRestart, endedAt(container));
  }
  let running = false;
  let failure = "";
  for (const container of (status?.containerStatuses ?? []).toReversed()) {
    summary.restarts += container.restartCount;
    summary.lastRestart = later(summary.lastRestart, endedAt(container));
    const { terminated, waiting, running: runs } = container.state ?? {};
    if (waiting?.reason) summary.status = waiting.reason;
    else if (terminated) {
      summary.status = endOf(terminated);
      if (terminated.exitCode !== 0) failure = summary.status;
    } else if (container.ready && runs) {
      running = true;
      summary.ready++;
    }
  }
  if (summary.status !== "Completed") return;
  const ready = (status?.conditions ?? []).some(({ type, status: value }) => type === "Ready" && value === "True");
  if (running && ready) summary.status = "Running";
  else if (failure) summary.status = failure;
  else if (running) summary.status = "NotReady";
}

function restartsText(pod: Pod, now: number): string {
  const { restarts, lastRestart } = summarize(pod);
  return restarts !== 0 && lastRestart ? `${restarts} (${ageOf(lastRestart, now)} ago)` : String(restarts);
}

function gatesText({ spec, status }: Pod): string {
  const gates = spec?.readinessGates ?? [];
  if (gates.length === 0) return none;
  const open = gates.filter(
    ({ conditionType }) => (status?.conditions ?? []).find(({ type }) => type === conditionType)?.status === "True",
  );
  return `${open.length}/${gates.length}`;
}

const none = "<none>";

export const podColumns: readonly Column<Pod>[] = [
  nameColumn,
  {
    name: "Ready",
    type: "string",
    doc: "Containers that are ready, of all.",
    value(pod) {
      const { ready, total } = summarize(pod);
      return `${ready}/${total}`;
    },
  },
  { name: "Status", type: "string", doc: "Summary of the pod's state.", value: (pod) => summarize(pod).status },
  { name: "Restarts", type: "string", doc: "Number of restarts of the containers.", value: restartsText },
  ageColumn,
  {
    name: "IP",
    type: "string",
    priority: 1,
    doc: "The pod's address.",
    value: ({ status }) => status?.podIPs?.[0]?.ip || none,
  },
  { name: "Node", type: "string", priority: 1, doc: "The pod's node.", value: ({ spec }) => spec?.nodeName || none },
  {
    name: "Nominated Node",
    type: "string",
    priority: 1,
    doc: "The node on which lower-priority pods are being preempted.",
    value: ({ status }) => status?.nominatedNodeName || none,
  },
  {
    name: "Readiness Gates",
    type: "string",
    priority: 1,
    doc: "Readiness gates that are open, of all.",
    value: gatesText,
  },
];
