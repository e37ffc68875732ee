import type { Node, Pod } from "#api";
import { messageOf } from "#base";
import type { NodeInfo, PodInfo } from "./node-info.ts";

/** Why a node does not take a pod. */
export interface Rejection {
  /** Upstream's words, as `kubectl describe` shows them; several where several things are missing. */
  reasons: string[];
  /** Whether removing pods from the node could change it. */
  resolvable: boolean;
}

/** What happened in the cluster that may make room for pods that found none. */
export type ClusterEvent =
  | { type: "node-added"; node: Node }
  | { type: "node-updated"; node: Node; previous: Node }
  | { type: "pod-removed"; pod: Pod }
  /** A bound pod has changed: its labels, or it asks for less. */
  | { type: "pod-updated"; pod: Pod }
  /** The waiting pod itself has changed. */
  | { type: "self-updated"; pod: Pod };

/** What plugins keep for each other and for themselves during one cycle. */
export type CycleState = Map<string, unknown>;

/** A plugin threw: its message is upstream's for a failing plugin, and the pod is tried again after a pause. */
export class PluginFailure extends Error {
  constructor(where: string, cause: unknown) {
    super(`${where}: ${messageOf(cause)}`, { cause });
    this.name = "PluginFailure";
  }
}

/**
 * A scheduler plugin: any of the framework's extension points, each optional. Pure and synchronous: it looks at the
 * pod and at one node at a time, never at the API.
 */
export interface Plugin {
  name: string;
  /** How much its scores count. */
  weight?: number;
  /** Keeps a pod out of the queue altogether; the reason it is kept. */
  preEnqueue?(pod: Pod): string | undefined;
  /** Looks at the pod once before the nodes. `only` narrows the nodes to these names; a rejection ends the cycle. */
  preFilter?(pod: PodInfo, state: CycleState): { only?: ReadonlySet<string>; rejection?: Rejection } | undefined;
  filter?(pod: PodInfo, node: NodeInfo, state: CycleState): Rejection | undefined;
  preScore?(pod: PodInfo, state: CycleState): "skip" | undefined;
  /** Any number; `normalize` brings it into 0 to 100. */
  score?(pod: PodInfo, node: NodeInfo, state: CycleState): number;
  normalize?(scores: number[]): number[];
  /** Whether an event may let a pod that this plugin rejected find a place. */
  hint?(event: ClusterEvent, pod: PodInfo): boolean;
}

export const highestScore = 100;

/** Spreads scores over 0 to 100 by the highest one; `reverse` makes the lowest the best. */
export function normalizeByHighest(scores: number[], reverse: boolean): number[] {
  const highest = Math.max(0, ...scores);
  if (highest === 0) return scores.map(() => (reverse ? highestScore : 0));
  return scores.map((score) => {
    const share = Math.trunc((highestScore * score) / highest);
    return reverse ? highestScore - share : share;
  });
}
