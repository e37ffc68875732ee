import { PodManager, type PodsContext } from "#agent/pods";
import { type Pod, pods } from "#api";
import { type Client, type Informer, startInformer } from "#client";
import type { Component, Running } from "./components.ts";

/** The pods that are bound to this node, as a component: an informer over the API and the manager that runs them. */
export class NodePods implements Component {
  readonly name = "pods";
  readonly #context: PodsContext;
  readonly #client: Client;
  #manager: PodManager | undefined;
  #informer: Informer<Pod> | undefined;

  constructor(context: PodsContext, client: Client) {
    this.#context = context;
    this.#client = client;
  }

  start(): Running {
    const { clock, log, node } = this.#context;
    const manager = new PodManager(this.#context);
    const informer = startInformer<Pod>({
      client: this.#client,
      kind: pods,
      clock,
      log,
      fields: [{ field: "spec.nodeName", equal: true, value: node.name }],
      changed: ({ type, object }) => {
        if (type === "DELETED") manager.delete(object.metadata.uid ?? "");
        else manager.set(object);
      },
    });
    this.#manager = manager;
    this.#informer = informer;
    let stopped = false;
    return {
      ready: informer.ready.then(() => {
        if (!stopped) manager.synced();
      }),
      stop: async () => {
        stopped = true;
        await Promise.all([informer.stop(), manager.stop()]);
      },
    };
  }

  /** A pod of this node with the newest status that the node knows. */
  find(namespace: string, name: string): Pod | undefined {
    return this.#manager?.find(namespace, name) ?? this.#informer?.get({ namespace, name });
  }

  /** All pods of this node, as `find` returns each. */
  list(): Pod[] {
    const all = [...(this.#informer?.all() ?? [])];
    return all.map((pod) => this.find(pod.metadata.namespace ?? "", pod.metadata.name ?? "") ?? pod);
  }
}
