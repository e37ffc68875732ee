import { mirrorAnnotation, nodes, type OwnerReference, type Pod, pods } from "#api";
import { type Clock, clone, ignoreReasons, type Log, messageOf, notFound, sleep } from "#base";
import type { Client } from "#client";
import { hashAnnotation, sourceAnnotation } from "./manifest.ts";

/** What runs pods; they are told apart by their uids. */
export interface PodRunner {
  set(pod: Pod): void;
  /** Ends a pod. Resolves when nothing of it is left. */
  delete(uid: string): Promise<void>;
}

/** The part of the pods' API in which a mirror pod stands for its static pod. */
export interface PodStatusApi {
  updateStatus(pod: Pod): Promise<Pod>;
  get(namespace: string, name: string): Promise<Pod>;
}

export interface MirroredPodsOptions {
  node: string;
  client: Client;
  runner: PodRunner;
  api: PodStatusApi;
  clock: Clock;
  log: Log;
}

interface Entry {
  /** The static pod that the sources want. */
  wanted?: Pod | undefined;
  /** The uid of the static pod that runs or is ending. */
  running?: string | undefined;
  /** A source had a static pod of this name: without `wanted`, it has been removed. */
  isKnown?: true;
  /** The mirror pod as the API has it. */
  mirror?: Pod | undefined;
  /** Reconciling goes on while it is set. */
  isDirty: boolean;
  isBusy: boolean;
}

const retryMilliseconds = { first: 500, longest: 30_000 };

export const isMirror = ({ metadata }: Pod): boolean => metadata.annotations?.[mirrorAnnotation] !== undefined;

const isStatic = (pod: Pod): boolean => pod.metadata.annotations?.[sourceAnnotation] !== undefined && !isMirror(pod);

const fullName = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

/**
 * Runs static pods, and keeps for each a mirror pod in the API that shows it, as upstream's kubelet does: a mirror that
 * is deleted or differs is created again, and one without a static pod is deleted. Of two static pods with one name,
 * the new one starts when nothing of the old one is left.
 */
export class MirroredPods {
  readonly #options: MirroredPodsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #stopping = new AbortController();
  /** Mirrors are written once all of the API's pods are known. */
  #isSynced = false;
  /** Mirrors whose static pod no source has had are deleted once all sources have been read. */
  #isComplete = false;

  constructor(options: MirroredPodsOptions) {
    this.#options = options;
  }

  /** Replaces all static pods. Of two with one name the first counts. */
  want(wanted: readonly Pod[]): void {
    const byName = new Map<string, Pod>();
    for (const pod of wanted) if (!byName.has(fullName(pod))) byName.set(fullName(pod), pod);
    for (const name of new Set([...this.#entries.keys(), ...byName.keys()])) {
      const entry = this.#entry(name);
      const next = byName.get(name);
      if (entry.wanted?.metadata.uid === next?.metadata.uid) continue;
      entry.wanted = next;
      if (next) entry.isKnown = true;
      this.#reconcile(name);
    }
  }

  /** The API has this mirror pod, or has it no longer. */
  mirror(pod: Pod, isDeleted: boolean): void {
    const name = fullName(pod);
    const entry = this.#entry(name);
    if (isDeleted && entry.mirror?.metadata.uid !== pod.metadata.uid) return;
    entry.mirror = isDeleted ? undefined : pod;
    const { wanted } = entry;
    if (wanted && entry.running === wanted.metadata.uid && entry.mirror) {
      this.#options.runner.set(shown(wanted, entry.mirror));
    }
    this.#reconcile(name);
  }

  /** All pods of the API have been passed to `mirror`. */
  synced(): void {
    this.#isSynced = true;
    for (const name of this.#entries.keys()) this.#reconcile(name);
  }

  /** All sources of static pods have been read. */
  complete(): void {
    this.#isComplete = true;
    for (const name of this.#entries.keys()) this.#reconcile(name);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Writes the status of a static pod to its mirror; NotFound while it has none. Other pods are passed on. */
  async updateStatus(pod: Pod): Promise<Pod> {
    const { api } = this.#options;
    if (!isStatic(pod)) return api.updateStatus(pod);
    const { wanted, mirror } = this.#entry(fullName(pod));
    if (!mirror || !wanted || !isMirrorOf(mirror, pod)) throw notFound(resource, pod.metadata.name ?? "");
    const { resourceVersion = mirror.metadata.resourceVersion } = pod.metadata;
    const status = pod.status ? { status: pod.status } : {};
    return shown(
      wanted,
      await api.updateStatus({ ...mirror, metadata: { ...mirror.metadata, resourceVersion }, ...status }),
    );
  }

  /** The pod of the API; a mirror as its static pod. */
  async get(namespace: string, name: string): Promise<Pod> {
    const found = await this.#options.api.get(namespace, name);
    const wanted = this.#entries.get(`${namespace}/${name}`)?.wanted;
    return wanted && isMirrorOf(found, wanted) ? shown(wanted, found) : found;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name) ?? { isDirty: false, isBusy: false };
    this.#entries.set(name, entry);
    return entry;
  }

  #reconcile(name: string): void {
    const entry = this.#entry(name);
    entry.isDirty = true;
    if (entry.isBusy) return;
    entry.isBusy = true;
    void this.#loop(name, entry).finally(() => {
      entry.isBusy = false;
      if (!entry.wanted && entry.running === undefined && !entry.mirror) this.#entries.delete(name);
    });
  }

  async #loop(name: string, entry: Entry): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    let pause = retryMilliseconds.first;
    while (entry.isDirty && !signal.aborted) {
      entry.isDirty = false;
      try {
        await this.#run(entry);
        if (this.#isSynced) await this.#show(entry);
        pause = retryMilliseconds.first;
      } catch (error) {
        log.warn("a mirror pod could not be written", { pod: name, error: messageOf(error) });
        entry.isDirty = true;
        await sleep(clock, pause, signal);
        pause = Math.min(pause * 2, retryMilliseconds.longest);
      }
    }
  }

  /** Ends the static pod that is not wanted any more, then starts the wanted one. */
  async #run(entry: Entry): Promise<void> {
    const { runner } = this.#options;
    if (entry.running !== undefined && entry.running !== entry.wanted?.metadata.uid) {
      await runner.delete(entry.running);
      entry.running = undefined;
    }
    const { wanted, mirror } = entry;
    if (!wanted || entry.running !== undefined || this.#stopping.signal.aborted) return;
    entry.running = wanted.metadata.uid;
    runner.set(mirror && isMirrorOf(mirror, wanted) ? shown(wanted, mirror) : wanted);
  }

  /** Deletes a mirror that is wrong or ending; the watch reports it, and then it is created again. */
  async #show({ wanted, mirror, isKnown }: Entry): Promise<void> {
    const { client } = this.#options;
    if (!wanted && !isKnown && !this.#isComplete) return;
    if (mirror && wanted && !mirror.metadata.deletionTimestamp && isMirrorOf(mirror, wanted)) return;
    if (mirror) {
      const { namespace, name = "", uid } = mirror.metadata;
      const deleted = client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
      await ignoreReasons(["NotFound", "Conflict"], deleted);
      return;
    }
    if (!wanted) return;
    const pod = clone(wanted);
    const { annotations = {}, uid: _, ...metadata } = pod.metadata;
    pod.metadata = {
      ...metadata,
      annotations: { ...annotations, [mirrorAnnotation]: annotations[hashAnnotation] ?? "" },
      ownerReferences: [await this.#owner()],
    };
    // Another pod with this name: it is this node's and reported, or it is in the way until it is deleted.
    await client.create(pods, pod);
  }

  async #owner(): Promise<OwnerReference> {
    const { client, node } = this.#options;
    const { uid = "" } = (await client.get(nodes, { name: node })).metadata;
    return { apiVersion: "v1", kind: "Node", name: node, uid, controller: true };
  }
}

const resource = { group: "", resource: pods.plural };

const isMirrorOf = (mirror: Pod, pod: Pod): boolean =>
  mirror.metadata.annotations?.[mirrorAnnotation] === pod.metadata.annotations?.[hashAnnotation];

/** The static pod at the state that its mirror has in the API. */
const shown = (pod: Pod, mirror: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, resourceVersion: mirror.metadata.resourceVersion },
  status: mirror.status ?? pod.status,
});
