import type { Sandbox } from "#agent/runtime";
import type { CgroupUsage } from "./cgroup.ts";

/** The usage of a container or pod at a moment. */
export interface Measured {
  /** Milliseconds since the epoch. */
  at: number;
  usage: CgroupUsage;
  /** Use of processors in billionths, as an average over `window` milliseconds. Absent: measured once only. */
  rate?: { nanoCores: number; window: number };
}

export interface ContainerSample extends Measured {
  id: string;
  name: string;
  image: string;
  /** The path of its cgroup; "" where the runtime has none. */
  cgroup: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
}

export interface PodSample {
  sandbox: Pick<Sandbox, "id" | "namespace" | "name" | "uid" | "createdAt">;
  /** The path of its cgroup; "" where the runtime has none. */
  cgroup: string;
  /** The pod as a whole, its sandbox included. */
  whole: Measured;
  containers: ContainerSample[];
}

/** Usage of a node and of its running pods. */
export interface Sample {
  node: Measured & { available: number; swapAvailable: number };
  pods: PodSample[];
}

/** Containers younger than this have no rate yet, in milliseconds: a start takes more than what follows. */
const youngest = 1000;

/** Fills in the rates of a sample from an earlier one. What has started between them is averaged since its start. */
export function withRates(sample: Sample, earlier: Sample | undefined): Sample {
  const before = new Map<string, Measured>();
  for (const { sandbox, whole, containers } of earlier?.pods ?? []) {
    before.set(sandbox.id, whole);
    for (const container of containers) before.set(container.id, container);
  }
  const rated = <M extends Measured>(measured: M, from: Measured | undefined, startedAt: number): M => {
    const known = from ?? (earlier && startedAt > earlier.node.at ? { at: startedAt, usage: undefined } : undefined);
    const window = measured.at - (known?.at ?? measured.at);
    const used = measured.usage.cpu.total - (known?.usage?.cpu.total ?? 0);
    if (window < youngest || used < 0) return measured;
    return { ...measured, rate: { nanoCores: Math.round((used / window) * 1000), window } };
  };
  return {
    node: rated(sample.node, earlier?.node, 0),
    pods: sample.pods.map((pod) => ({
      ...pod,
      whole: rated(pod.whole, before.get(pod.sandbox.id), pod.sandbox.createdAt),
      containers: pod.containers.map((one) => rated(one, before.get(one.id), one.startedAt)),
    })),
  };
}
