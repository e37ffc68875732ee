import type { Node, Pod } from "#api";
import { addPod, type NodeInfo, nodeInfo, type PodInfo, podInfo, removePod } from "./framework/index.ts";

/**
 * The nodes and what stands on them, kept up to date change by change. A pod that has just been given a node counts
 * there at once (`assume`), before the API has confirmed it.
 */
export class Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  /** Pods by uid and the node that they count on. */
  readonly #placed = new Map<string, string>();
  /** Pods whose node is not known (yet). */
  readonly #homeless = new Map<string, { node: string; pod: PodInfo }>();
  #list: NodeInfo[] | undefined;

  /** All nodes, in the order in which they came. */
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
      for (const { node: home, pod } of this.#homeless.values()) if (home === fresh.name) this.#put(home, pod);
    }
  }

  deleteNode(name: string): void {
    const known = this.#nodes.get(name);
    if (!known) return;
    this.#nodes.delete(name);
    this.#list = undefined;
    for (const pod of known.pods.values()) {
      this.#placed.delete(pod.uid);
      this.#homeless.set(pod.uid, { node: name, pod });
    }
  }

  /** A pod stands on a node, by the API's word. */
  setPod(pod: Pod): void {
    const node = pod.spec?.nodeName;
    if (!node) return;
    const { uid = "" } = pod.metadata;
    const at = this.#placed.get(uid);
    const known = at === undefined ? undefined : this.#nodes.get(at)?.pods.get(uid);
    // Most changes are of the status: what the pod takes is as it was.
    if (known && at === node && known.pod.spec === pod.spec) known.pod = pod;
    else this.assume(podInfo(pod), node);
  }

  assume(pod: PodInfo, node: string): void {
    this.forget(pod.uid);
    this.#put(node, pod);
  }

  /** The pod has gone, has ended, or was not bound after all. */
  forget(uid: string): void {
    this.#homeless.delete(uid);
    const at = this.#placed.get(uid);
    if (at === undefined) return;
    this.#placed.delete(uid);
    const info = this.#nodes.get(at);
    if (info) removePod(info, uid);
  }

  #put(node: string, pod: PodInfo): void {
    const info = this.#nodes.get(node);
    if (!info) {
      this.#homeless.set(pod.uid, { node, pod });
      return;
    }
    this.#homeless.delete(pod.uid);
    this.#placed.set(pod.uid, node);
    addPod(info, pod);
  }
}
