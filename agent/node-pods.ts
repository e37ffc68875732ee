import { join } from "node:path";
import type { Eviction } from "#agent/eviction";
import {
  followFolder,
  followUrl,
  isMirror,
  type ManifestFault,
  MirroredPods,
  manifestPort,
  type Source,
  type SourceOptions,
} from "#agent/manifests";
import { PodManager, type PodsContext } from "#agent/pods";
import { type Pod, pods } from "#api";
import type { Log } from "#base";
import { type Client, type Informer, startInformer } from "#client";
import type { Component, Running } from "./components.ts";

/** Where static pods come from; absent sources have none. */
export interface StaticPodOptions {
  /** A folder of manifests, or one. */
  path?: string | undefined;
  url?: string | undefined;
  /** Headers of requests to the URL. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** A port on the loopback address that takes manifests. */
  port?: number | undefined;
}

export interface NodePodsOptions {
  context: PodsContext;
  client: Client;
  /** The node's folder. */
  folder: string;
  staticPods: StaticPodOptions;
  /** Called for each new fault of a manifest. */
  fault(fault: ManifestFault): void;
}

/**
 * The pods of this node, as a component: those that are bound to it by an informer over the API, static pods by their
 * sources, and the manager that runs them.
 */
export class NodePods implements Component {
  readonly name = "pods";
  readonly #options: NodePodsOptions;
  #manager: PodManager | undefined;
  #informer: Informer<Pod> | undefined;

  constructor(options: NodePodsOptions) {
    this.#options = options;
  }

  async start(): Promise<Running> {
    const { context, client } = this.#options;
    const { clock, log, node } = context;
    const mirrored = new MirroredPods({
      ...{ node: node.name, client, clock, log, api: context.api },
      runner: { set: (pod) => manager.set(pod), delete: (uid) => manager.delete(uid) },
    });
    const api = {
      ...context.api,
      updateStatus: (pod: Pod) => mirrored.updateStatus(pod),
      get: (namespace: string, name: string) => mirrored.get(namespace, name),
    };
    const manager = new PodManager({ ...context, api });
    const informer = startInformer<Pod>({
      client,
      kind: pods,
      clock,
      log,
      fields: [{ field: "spec.nodeName", equal: true, value: node.name }],
      changed: ({ type, object }) => {
        if (isMirror(object)) mirrored.mirror(object, type === "DELETED");
        else if (type === "DELETED") void manager.delete(object.metadata.uid ?? "");
        else manager.set(object);
      },
    });
    this.#manager = manager;
    this.#informer = informer;
    const sources = await this.#follow((wanted) => mirrored.want(wanted)).catch(async (error: unknown) => {
      await Promise.all([informer.stop(), manager.stop()]);
      throw error;
    });
    let stopped = false;
    const ready = informer.ready.then(() => {
      if (!stopped) mirrored.synced();
    });
    // A pod that runs may be a static pod of a source that has not been read yet.
    void Promise.all([ready, sources.read]).then(() => {
      if (stopped) return;
      mirrored.complete();
      manager.synced();
    });
    return {
      ready,
      stop: async () => {
        stopped = true;
        mirrored.stop();
        await Promise.all([sources.stop(), informer.stop(), manager.stop()]);
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

  /** Ends a pod as Failed, with the reason Evicted unless another is given. Resolves once its containers have ended. */
  async evict({ metadata }: Pod, eviction: Eviction & { reason?: string }): Promise<void> {
    await this.#manager?.evict(metadata.uid ?? "", eviction);
  }

  /** Follows the sources of static pods. Rejects when the port is in use. */
  async #follow(want: (wanted: Pod[]) => void): Promise<Source> {
    const { context, folder, staticPods } = this.#options;
    const { path, url, headers, port } = staticPods;
    const sent = join(folder, "manifests");
    const faults = new FaultLog(this.#options.fault, context.log);
    const found: Pod[][] = [];
    const all: Source[] = [];
    const follow = (start: (options: SourceOptions) => Source): void => {
      const at = all.length;
      found.push([]);
      all.push(
        start({
          node: context.node.name,
          clock: context.clock,
          update: (next) => {
            found[at] = next;
            want(found.flat());
          },
          faults: (next) => faults.set(at, next),
        }),
      );
    };
    const server =
      port === undefined
        ? undefined
        : await manifestPort({
            port,
            folder: sent,
            tokenFile: join(folder, "manifest-token"),
            node: context.node.name,
          });
    if (path !== undefined) follow((options) => followFolder(path, options));
    if (url !== undefined) follow((options) => followUrl({ ...options, url, headers }));
    if (server) follow((options) => followFolder(sent, options));
    return {
      read: Promise.all(all.map(({ read }) => read)).then(() => {}),
      stop: async () => {
        await Promise.all([server?.stop(), ...all.map((source) => source.stop())]);
      },
    };
  }
}

/** Reports each fault once, until its manifest is good again or has another fault. */
class FaultLog {
  readonly #report: (fault: ManifestFault) => void;
  readonly #log: Log;
  readonly #known = new Map<number, Map<string, string>>();

  constructor(report: (fault: ManifestFault) => void, log: Log) {
    this.#report = report;
    this.#log = log;
  }

  /** The faults of a source's last reading. */
  set(source: number, faults: readonly ManifestFault[]): void {
    const before = this.#known.get(source);
    this.#known.set(source, new Map(faults.map(({ place, message }) => [place, message])));
    for (const fault of faults) {
      if (before?.get(fault.place) === fault.message) continue;
      this.#log.warn("a manifest of static pods cannot be used", { ...fault });
      this.#report(fault);
    }
  }
}
