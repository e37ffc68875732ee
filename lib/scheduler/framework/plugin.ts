import type { Node, Pod } from "#api";
import { messageOf } from "#base";
import type { NodeInfo, PodInfo } from "./node-info.ts";

/** Why a node does not fit a pod. */
export interface Rejection {
  /** Upstream's messages, as `kubectl describe` shows them; several where several resources are missing. */
  reasons: string[];
  /** Whether removing pods from the node could help. */
  resolvable: boolean;
}

/** A change in the cluster that may make rejected pods schedulable. */
export type ClusterEvent =
  | { type: "node-added"; node: Node }
  | { type: "node-updated"; node: Node; previous: Node }
  | { type: "pod-removed"; pod: Pod }
  /** A bound pod has changed: its labels, or its requests have decreased. */
  | { type: "pod-updated"; pod: Pod }
  /** The waiting pod itself has changed. */
  | { type: "self-updated"; pod: Pod };

/** Data that plugins share during one cycle. */
export type CycleState = Map<string, unknown>;

/** An error of a plugin, with upstream's message; the pod is tried again after a backoff. */
export class PluginFailure extends Error {
  constructor(where: string, cause: unknown) {
    super(`${where}: ${messageOf(cause)}`, { cause });
    this.name = "PluginFailure";
  }
}

/**
 * A scheduler plugin: any of the framework's extension points, each optional. Pure and synchronous: it receives the pod
 * and one node at a time, never the API.
 */
export interface Plugin {
  name: string;
  /** Factor of its scores. Default: 1. */
  weight?: number;
  /** Keeps a pod out of the queue. Returns the reason, or undefined. */
  preEnqueue?(pod: Pod): string | undefined;
  /** Checks the pod once before the nodes. `only` restricts the nodes to these names; a rejection ends the cycle. */
  preFilter?(pod: PodInfo, state: CycleState): { only?: ReadonlySet<string>; rejection?: Rejection } | undefined;
  filter?(pod: PodInfo, node: NodeInfo, state: CycleState): Rejection | undefined;
  preScore?(pod: PodInfo, state: CycleState): "skip" | undefined;
  /** Any number; `normalize` maps it to 0 to 100. */
  score?(pod: PodInfo, node: NodeInfo, state: CycleState): number;
  normalize?(scores: number[]): number[];
  /** Whether an event may make a pod schedulable that this plugin rejected. */
  hint?(event: ClusterEvent, pod: PodInfo): boolean;
}

export const highestScore = 100;

/** Scales scores to 0 to 100 by the highest one; `reverse` makes the lowest the best. */
export function normalizeByHighest(scores: number[], reverse: boolean): number[] {
  const highest = Math.max(0, ...scores);
  if (highest === 0) return scores.map(() => (reverse ? highestScore : 0));
  return scores.map((score) => {
    const share = Math.trunc((highestScore * score) / highest);
    return reverse ? highestScore - share : share;
  });
}
