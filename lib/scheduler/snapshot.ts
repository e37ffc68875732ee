import type { Node, Pod } from "#api";
import { addPod, type NodeInfo, nodeInfo, type PodInfo, podInfo, removePod } from "./framework/index.ts";

/**
 * The nodes and their pods, updated with every change. A pod that has just been assigned counts on its node at once
 * (`assume`), before the API has confirmed the binding.
 */
export class Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  /** The node of each counted pod, by the pod's uid. */
  readonly #placed = new Map<string, string>();
  /** Pods whose node is not known (yet), by uid. */
  readonly #podsOnUnknownNodes = new Map<string, { node: string; pod: PodInfo }>();
  #list: NodeInfo[] | undefined;

  /** All nodes, in the order in which they were added. */
  get nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()];
    return this.#list;
  }

  setNode(node: Node): void {
    const fresh = nodeInfo(node);
    const known = this.#nodes.get(fresh.name);
    if (known) Object.assign(known, { node, allocatable: fresh.allocatable });
    else {
      this.#nodes.set(fresh.name, fresh);
      this.#list = undefined;
      for (const { node: nodeName, pod } of this.#podsOnUnknownNodes.values())
        if (nodeName === fresh.name) this.#put(nodeName, pod);
    }
  }

  deleteNode(name: string): void {
    const known = this.#nodes.get(name);
    if (!known) return;
    this.#nodes.delete(name);
    this.#list = undefined;
    for (const pod of known.pods.values()) {
      this.#placed.delete(pod.uid);
      this.#podsOnUnknownNodes.set(pod.uid, { node: name, pod });
    }
  }

  /** Counts a bound pod on its node. */
  setPod(pod: Pod): void {
    const node = pod.spec?.nodeName;
    if (!node) return;
    const { uid = "" } = pod.metadata;
    const at = this.#placed.get(uid);
    const known = at === undefined ? undefined : this.#nodes.get(at)?.pods.get(uid);
    // Most changes are of the status and do not affect the requests.
    if (known && at === node && known.pod.spec === pod.spec) known.pod = pod;
    else this.assume(podInfo(pod), node);
  }

  assume(pod: PodInfo, node: string): void {
    this.forget(pod.uid);
    this.#put(node, pod);
  }

  /** Removes a pod that was deleted, has ended, or could not be bound. */
  forget(uid: string): void {
    this.#podsOnUnknownNodes.delete(uid);
    const at = this.#placed.get(uid);
    if (at === undefined) return;
    this.#placed.delete(uid);
    const info = this.#nodes.get(at);
    if (info) removePod(info, uid);
  }

  #put(node: string, pod: PodInfo): void {
    const info = this.#nodes.get(node);
    if (!info) {
      this.#podsOnUnknownNodes.set(pod.uid, { node, pod });
      return;
    }
    this.#podsOnUnknownNodes.delete(pod.uid);
    this.#placed.set(pod.uid, node);
    addPod(info, pod);
  }
}
