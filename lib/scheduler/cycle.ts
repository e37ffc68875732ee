import type { Random } from "#base";
import {
  type CycleState,
  highestScore,
  type NodeInfo,
  type Plugin,
  type PodInfo,
  type Rejection,
} from "./framework/index.ts";

/** Where a pod goes, or why nowhere. */
export type Outcome = { node: NodeInfo } | { node: undefined; message: string; rejectedBy: ReadonlySet<string> };

/** Below so many nodes all are looked at; above, the share shrinks (upstream's adaptive percentageOfNodesToScore). */
const alwaysLookAt = 100;

function enough(nodes: number): number {
  if (nodes < alwaysLookAt) return nodes;
  const share = Math.max(5, 50 - Math.trunc(nodes / 125));
  return Math.max(alwaysLookAt, Math.trunc((nodes * share) / 100));
}

/** Where the next cycle starts looking, so that all nodes get their turn. */
export interface Rotation {
  next: number;
}

/** One scheduling cycle: filters the nodes, scores those that are left, and picks one of the best by chance. */
export function schedule(
  plugins: readonly Plugin[],
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  rotation: Rotation,
  random: Random,
): Outcome {
  if (nodes.length === 0)
    return { node: undefined, message: "no nodes available to schedule pods", rejectedBy: everything(plugins) };
  const state: CycleState = new Map();
  const rejections = new Map<string, number>();
  const rejectedBy = new Set<string>();
  const reject = (plugin: Plugin, { reasons }: Rejection, times = 1) => {
    rejectedBy.add(plugin.name);
    for (const reason of reasons) rejections.set(reason, (rejections.get(reason) ?? 0) + times);
  };
  let only: ReadonlySet<string> | undefined;
  for (const plugin of plugins) {
    const answer = plugin.preFilter?.(pod, state);
    if (answer?.rejection) {
      reject(plugin, answer.rejection, nodes.length);
      return { node: undefined, message: explain(nodes.length, rejections), rejectedBy };
    }
    if (answer?.only) only = only ? new Set([...only].filter((name) => answer.only!.has(name))) : answer.only;
  }
  const feasible = filter(plugins, pod, nodes, only, rotation, state, reject);
  if (feasible.length === 0) return { node: undefined, message: explain(nodes.length, rejections), rejectedBy };
  if (feasible.length === 1) return { node: feasible[0]! };
  return { node: best(plugins, pod, feasible, state, random) };
}

/** With no nodes at all, any node that comes may do: every plugin's hint counts. */
const everything = (plugins: readonly Plugin[]): ReadonlySet<string> => new Set(plugins.map(({ name }) => name));

function filter(
  plugins: readonly Plugin[],
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  only: ReadonlySet<string> | undefined,
  rotation: Rotation,
  state: CycleState,
  reject: (plugin: Plugin, rejection: Rejection) => void,
): NodeInfo[] {
  const wanted = enough(nodes.length);
  const filters = plugins.filter((plugin) => plugin.filter);
  const feasible: NodeInfo[] = [];
  let looked = 0;
  for (; looked < nodes.length && feasible.length < wanted; looked++) {
    const node = nodes[(rotation.next + looked) % nodes.length]!;
    if (only && !only.has(node.name)) continue;
    let fits = true;
    for (const plugin of filters) {
      const rejection = plugin.filter!(pod, node, state);
      if (!rejection) continue;
      reject(plugin, rejection);
      fits = false;
      break;
    }
    if (fits) feasible.push(node);
  }
  rotation.next = (rotation.next + looked) % nodes.length;
  return feasible;
}

function best(
  plugins: readonly Plugin[],
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  state: CycleState,
  random: Random,
): NodeInfo {
  const totals = nodes.map(() => 0);
  for (const plugin of plugins) {
    if (!plugin.score || plugin.preScore?.(pod, state) === "skip") continue;
    const raw = nodes.map((node) => plugin.score!(pod, node, state));
    const scores = plugin.normalize ? plugin.normalize(raw) : raw;
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
