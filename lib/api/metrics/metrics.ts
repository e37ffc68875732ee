import type * as z from "zod";
import { formatTime } from "#base";
import { type Node, nodes, type Pod, pods } from "../core/index.ts";
import {
  addQuantities,
  type Column,
  type ComputeContext,
  defineKind,
  duration,
  formatQuantity,
  goDuration,
  type Kind,
  list,
  map,
  message,
  metadataField,
  type NodeUsage,
  nameColumn,
  quantity,
  required,
  string,
  time,
} from "../meta/index.ts";

type Version = "v1" | "v1beta1";

const spanFields = () => ({
  timestamp: required(2, time, "End of the time over which the usage was measured."),
  window: required(3, duration, "Length of the time over which the usage was measured."),
});
const usageField = (n: number) =>
  required(n, map(quantity), "Usage: processors as an average, memory as the working set.");

const typesOf = (version: Version) => {
  const type = (name: string) => `io.k8s.metrics.pkg.apis.metrics.${version}.${name}`;
  const ContainerMetrics = message(type("ContainerMetrics"), () => ({
    name: required(1, string, "Name of the container."),
    usage: usageField(2),
  }));
  const NodeMetrics = message(type("NodeMetrics"), () => ({
    metadata: metadataField(),
    ...spanFields(),
    usage: usageField(4),
  }));
  const PodMetrics = message(type("PodMetrics"), () => ({
    metadata: metadataField(),
    ...spanFields(),
    containers: required(4, list(ContainerMetrics), "Usage of the pod's containers.", { list: "atomic" }),
  }));
  return { NodeMetrics, PodMetrics };
};

const v1 = typesOf("v1");
const v1beta1 = typesOf("v1beta1");
export type NodeMetrics = z.infer<typeof v1.NodeMetrics>;
export type PodMetrics = z.infer<typeof v1.PodMetrics>;

/** Values that a node reports are whole numbers, whatever it sends. */
const whole = (value: number): bigint => BigInt(Math.round(value));

const usageOf = ({ cpu, memory }: { cpu: number; memory: number }) => ({
  cpu: formatQuantity({ mantissa: whole(cpu), exponent: -9, format: "decimal" }),
  memory: formatQuantity({ mantissa: whole(memory), exponent: 0, format: "binary" }),
});

const spanOf = ({ at, window }: { at: number; window: number }) => ({
  timestamp: formatTime(at),
  window: goDuration(Math.round(window) * 1e6),
});

/** Labels are those of the measured object, and the time of creation is that of the answer, as metrics-server's. */
function metadataOf({ metadata: { name, namespace, labels } }: Node | Pod, now: number) {
  return {
    ...(name === undefined ? {} : { name }),
    ...(namespace ? { namespace } : {}),
    ...(labels ? { labels } : {}),
    creationTimestamp: formatTime(now),
  };
}

/** Answers of the nodes that are connected and have measured; the others are left out. */
async function usageOfNodes(names: Iterable<string>, { usage }: ComputeContext): Promise<Map<string, NodeUsage>> {
  const found = await Promise.all([...new Set(names)].map(async (name) => [name, await usage(name)] as const));
  return new Map(found.flatMap(([name, answer]) => (answer ? [[name, answer]] : [])));
}

async function nodeMetrics({ name }: { name?: string }, context: ComputeContext): Promise<NodeMetrics[]> {
  const found = await context.read(nodes, name === undefined ? {} : { name });
  const answers = await usageOfNodes(
    found.map(({ metadata }) => metadata.name ?? ""),
    context,
  );
  return found.flatMap((node) => {
    const own = answers.get(node.metadata.name ?? "")?.node;
    return own ? [{ metadata: metadataOf(node, context.now), ...spanOf(own), usage: usageOf(own) }] : [];
  });
}

/** A node reports on its own pods only: others in its answer are ignored. */
async function podMetrics(
  { namespace, name }: { namespace: string; name?: string },
  context: ComputeContext,
): Promise<PodMetrics[]> {
  const found = await context.read(pods, name === undefined ? { namespace } : { namespace, name });
  const placed = found.filter(({ spec }) => spec?.nodeName);
  const answers = await usageOfNodes(
    placed.map(({ spec }) => spec?.nodeName ?? ""),
    context,
  );
  const measured = new Map<string, NodeUsage["pods"][number]>();
  for (const [node, answer] of answers) for (const one of answer.pods) measured.set(`${node}/${one.uid}`, one);
  return placed.flatMap((pod) => {
    const own = measured.get(`${pod.spec?.nodeName}/${pod.metadata.uid}`);
    if (!own) return [];
    const containers = own.containers.map((one) => ({ name: one.name, usage: usageOf(one) }));
    return [{ metadata: metadataOf(pod, context.now), ...spanOf(own), containers }];
  });
}

const total = (parts: readonly Record<string, string>[], resource: "cpu" | "memory"): string =>
  parts.map((usage) => usage[resource] ?? "0").reduce((sum, value) => addQuantities(sum, value), "0");

/** metrics-server's columns. */
function columnsOf<T extends NodeMetrics | PodMetrics>(parts: (object: T) => Record<string, string>[]): Column<T>[] {
  const usage = (name: "cpu" | "memory"): Column<T> => ({
    name,
    type: "string",
    format: "quantity",
    doc: "",
    value: (object) => total(parts(object), name),
  });
  const window: Column<T> = {
    name: "Window",
    type: "string",
    format: "duration",
    doc: "",
    value: ({ window }) => window ?? "",
  };
  return [nameColumn, usage("cpu"), usage("memory"), window];
}

const common = (version: Version, plural: "nodes" | "pods") =>
  ({
    ...({ group: "metrics.k8s.io", version, plural, singular: "", verbs: ["get", "list"] } as const),
    // Nothing is stored: each kind is its own.
    storage: `metrics.k8s.io/${version}/${plural}`,
  }) as const;

const nodeKind = (version: Version, schema: typeof v1.NodeMetrics): Kind<NodeMetrics> =>
  defineKind<NodeMetrics>({
    ...common(version, "nodes"),
    kind: "NodeMetrics",
    scope: "Cluster",
    schema,
    compute: nodeMetrics,
    columns: columnsOf(({ usage }) => [usage ?? {}]),
  });

const podKind = (version: Version, schema: typeof v1.PodMetrics): Kind<PodMetrics> =>
  defineKind<PodMetrics>({
    ...common(version, "pods"),
    kind: "PodMetrics",
    scope: "Namespaced",
    schema,
    compute: podMetrics,
    columns: columnsOf(({ containers }) => (containers ?? []).map(({ usage }) => usage)),
  });

/** What the nodes and pods use at this moment, in both versions that clients look for. The nodes are asked. */
export const usageKinds: readonly Kind[] = [
  nodeKind("v1beta1", v1beta1.NodeMetrics),
  podKind("v1beta1", v1beta1.PodMetrics),
  nodeKind("v1", v1.NodeMetrics),
  podKind("v1", v1.PodMetrics),
];
