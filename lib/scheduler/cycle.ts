import type { Random } from "#base";
import {
  type CycleState,
  highestScore,
  type NodeInfo,
  type Plugin,
  PluginFailure,
  type PodInfo,
  type Rejection,
} from "./framework/index.ts";

/** Why a pod was not scheduled. */
export interface Failure {
  node: undefined;
  /** The reason in the pod's condition: no node fits, or the attempt itself failed. */
  reason: "Unschedulable" | "SchedulerError";
  message: string;
  /**
   * Names of the plugins that rejected nodes: their hints decide when the pod is tried again. Empty: after a backoff.
   */
  rejectedBy: ReadonlySet<string>;
}

/** The chosen node, or why there is none. */
export type Outcome = { node: NodeInfo } | Failure;

/**
 * Below this number all nodes are checked; above it a share that shrinks (upstream's adaptive
 * percentageOfNodesToScore).
 */
const alwaysChecked = 100;

function enough(nodes: number): number {
  if (nodes < alwaysChecked) return nodes;
  const share = Math.max(5, 50 - Math.trunc(nodes / 125));
  return Math.max(alwaysChecked, Math.trunc((nodes * share) / 100));
}

/** The index at which the next cycle starts, so that all nodes are checked in turn. */
export interface Rotation {
  next: number;
}

/** Runs one extension point of a plugin. An error becomes a PluginFailure that names both. */
function run<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new PluginFailure(where, error);
  }
}

/** What a scheduling cycle works with. */
export interface Cycle {
  plugins: readonly Plugin[];
  pod: PodInfo;
  nodes: readonly NodeInfo[];
  /** Updated by the cycle. */
  rotation: Rotation;
  random: Random;
}

/**
 * One scheduling cycle: filters the nodes, scores those that remain, and picks one of the best at random. Throws
 * PluginFailure if a plugin throws.
 */
export function schedule(cycle: Cycle): Outcome {
  const { plugins, pod, nodes } = cycle;
  if (nodes.length === 0) return failed("no nodes available to schedule pods", everything(plugins));
  const state: CycleState = new Map();
  const rejections = new Map<string, number>();
  const rejectedBy = new Set<string>();
  const reject = (plugin: Plugin, { reasons }: Rejection, times = 1) => {
    rejectedBy.add(plugin.name);
    for (const reason of reasons) rejections.set(reason, (rejections.get(reason) ?? 0) + times);
  };
  let only: ReadonlySet<string> | undefined;
  for (const plugin of plugins) {
    const answer = run(`running PreFilter plugin "${plugin.name}"`, () => plugin.preFilter?.(pod, state));
    if (answer?.rejection) {
      reject(plugin, answer.rejection, nodes.length);
      return failed(explain(nodes.length, rejections), rejectedBy);
    }
    if (answer?.only) only = only ? new Set([...only].filter((name) => answer.only!.has(name))) : answer.only;
  }
  const feasible = filter(cycle, only, state, reject);
  if (feasible.length === 0) return failed(explain(nodes.length, rejections), rejectedBy);
  if (feasible.length === 1) return { node: feasible[0]! };
  return { node: best(cycle, feasible, state) };
}

const failed = (message: string, rejectedBy: ReadonlySet<string>): Failure => ({
  node: undefined,
  reason: "Unschedulable",
  message,
  rejectedBy,
});

/** Without any node, a new node may fit: the hints of all plugins count. */
const everything = (plugins: readonly Plugin[]): ReadonlySet<string> => new Set(plugins.map(({ name }) => name));

/** The nodes that all plugins accept, as many as are needed. `only` restricts them to these names. */
function filter(
  { plugins, pod, nodes, rotation }: Cycle,
  only: ReadonlySet<string> | undefined,
  state: CycleState,
  reject: (plugin: Plugin, rejection: Rejection) => void,
): NodeInfo[] {
  const wanted = enough(nodes.length);
  const filters = plugins.filter((plugin) => plugin.filter);
  const feasible: NodeInfo[] = [];
  let checked = 0;
  for (; checked < nodes.length && feasible.length < wanted; checked++) {
    const node = nodes[(rotation.next + checked) % nodes.length]!;
    if (only && !only.has(node.name)) continue;
    const refusal = firstRefusal(filters, pod, node, state);
    if (refusal) reject(refusal.plugin, refusal.rejection);
    else feasible.push(node);
  }
  rotation.next = (rotation.next + checked) % nodes.length;
  return feasible;
}

/** The first plugin that rejects a node for a pod, and why. */
function firstRefusal(
  filters: readonly Plugin[],
  pod: PodInfo,
  node: NodeInfo,
  state: CycleState,
): { plugin: Plugin; rejection: Rejection } | undefined {
  let current: Plugin | undefined;
  try {
    for (const plugin of filters) {
      current = plugin;
      const rejection = plugin.filter!(pod, node, state);
      if (rejection) return { plugin, rejection };
    }
  } catch (error) {
    throw new PluginFailure(`running "${current?.name}" filter plugin`, error);
  }
  return undefined;
}

/** One of the nodes with the highest total score. */
function best({ plugins, pod, random }: Cycle, nodes: readonly NodeInfo[], state: CycleState): NodeInfo {
  const totals = nodes.map(() => 0);
  for (const plugin of plugins) {
    if (!plugin.score) continue;
    const skips = run(`running PreScore plugin "${plugin.name}"`, () => plugin.preScore?.(pod, state));
    if (skips === "skip") continue;
    const scores = run(`running Score plugins: plugin "${plugin.name}" failed with`, () => {
      const raw = nodes.map((node) => plugin.score!(pod, node, state));
      return plugin.normalize ? plugin.normalize(raw) : raw;
    });
    for (const [index, score] of scores.entries()) {
      totals[index] = totals[index]! + Math.min(highestScore, Math.max(0, score)) * (plugin.weight ?? 1);
    }
  }
  const highest = Math.max(...totals);
  const candidates = nodes.filter((_, index) => totals[index] === highest);
  return candidates[Math.floor(random.fraction() * candidates.length)]!;
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
function explain(nodes: number, rejections: ReadonlyMap<string, number>): string {
  const reasons = [...rejections].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${reasons.join(", ")}.`;
}
