import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Pod } from "#api";
import { type Clock, type Log, messageOf } from "#base";
import { isCritical } from "#kubelet";
import type { Refusal } from "./admission.ts";
import {
  type Allocation,
  allocationOf,
  type Capacity,
  inOrder,
  isAllocated,
  type PendingResize,
  type Shortage,
  shortagesOf,
  withAllocation,
} from "./allocation.ts";
import { victimsFor } from "./preemption.ts";

export interface AllocationsOptions {
  /** The folder of a pod; undefined where pods have none: allocations then last as long as the agent. */
  folderOf(uid: string): string | undefined;
  /** The uids of pods that have a folder. */
  list(): Promise<string[]>;
  capacity: Capacity;
  /** The pods that have not ended, as they were last set. */
  active(): Pod[];
  /** Called for a pod whose waiting resize has been granted. */
  granted(uid: string): void;
  /** Ends a pod for a critical one. Resolves once its containers have ended. */
  preempt(uid: string): Promise<void>;
  clock: Clock;
  log: Log;
}

/** Upstream's message when no pods can be ended for a critical one. */
function unrecovered(shortages: readonly Shortage[]): Refusal {
  const list = shortages.map(({ resource, missing }) => `(res: ${resource}, q: ${missing}), `).join("");
  const why = `no set of running pods found to reclaim resources: [${list}]`;
  const message = `Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: ${why}`;
  return { reason: "UnexpectedAdmissionError", message };
}

const fileName = "allocation.json";

/**
 * The resources that the node has granted to its pods, stored in the pods' folders: a restarted agent must not grant a
 * resize that did not fit (upstream's allocation manager).
 */
export class Allocations {
  readonly #options: AllocationsOptions;
  readonly #granted = new Map<string, Allocation>();
  readonly #pending = new Map<string, PendingResize>();
  #loading: Promise<void> | undefined;

  constructor(options: AllocationsOptions) {
    this.#options = options;
  }

  /** Reads what an earlier agent has granted. Nothing may be granted before. */
  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** The pod with its granted resources in place of those that it asks for. */
  allocated(pod: Pod): Pod {
    return withAllocation(pod, this.#granted.get(pod.metadata.uid ?? ""));
  }

  /** Grants a new pod what it asks for, or returns why it does not fit. One that has been granted is not checked. */
  async admit(pod: Pod): Promise<Refusal | undefined> {
    const { capacity } = this.#options;
    if (this.#granted.has(pod.metadata.uid ?? "")) return undefined;
    const others = this.#others(pod);
    const shortages = shortagesOf(pod, others, capacity);
    const [first] = shortages;
    if (first && !isCritical(pod)) return { reason: `OutOf${first.resource}`, message: first.message };
    const victims = first ? victimsFor(pod, others, shortages) : [];
    if (!victims) return unrecovered(shortages);
    // Granted first, so that no other pod takes what becomes free.
    await this.#grant(pod);
    await Promise.all(victims.map(({ metadata }) => this.#options.preempt(metadata.uid ?? "")));
    return undefined;
  }

  /** Grants a pod that has already been started what it asks for, whatever is left. */
  async adopt(pod: Pod): Promise<void> {
    if (!this.#granted.has(pod.metadata.uid ?? "")) await this.#grant(pod);
  }

  /**
   * Grants a resize. Resolves with `none` where the pod asks for what it has, and with the message of what is missing
   * where the resize has to wait: it is tried again when resources become free.
   */
  async resize(pod: Pod): Promise<"none" | "granted" | { missing: string }> {
    const uid = pod.metadata.uid ?? "";
    const allocation = this.#granted.get(uid);
    if (!allocation || isAllocated(pod, allocation)) {
      this.#pending.delete(uid);
      return "none";
    }
    const [shortage] = shortagesOf(pod, this.#others(pod), this.#options.capacity);
    if (shortage) {
      const since = this.#pending.get(uid)?.since ?? this.#options.clock.now();
      this.#pending.set(uid, { pod, allocation, since });
      return { missing: shortage.message };
    }
    await this.#grant(pod);
    this.#pending.delete(uid);
    return "granted";
  }

  /** Resources may have become free: waiting resizes that fit now are granted on their pods' next step. */
  retry(): void {
    for (const { pod } of inOrder([...this.#pending.values()])) this.#options.granted(pod.metadata.uid ?? "");
  }

  /** The pod has been removed from the node, with its folder. */
  forget(uid: string): void {
    this.#granted.delete(uid);
    this.#pending.delete(uid);
  }

  /** The other pods that have been granted resources, with these. */
  #others(pod: Pod): Pod[] {
    return this.#options
      .active()
      .filter(({ metadata }) => metadata.uid !== pod.metadata.uid && this.#granted.has(metadata.uid ?? ""))
      .map((other) => this.allocated(other));
  }

  /** In memory first, so that no other pod is granted the same. Rejects when it could not be stored: nothing is granted. */
  async #grant(pod: Pod): Promise<void> {
    const uid = pod.metadata.uid ?? "";
    const before = this.#granted.get(uid);
    const allocation = allocationOf(pod);
    this.#granted.set(uid, allocation);
    const folder = this.#options.folderOf(uid);
    if (folder === undefined) return;
    try {
      const path = join(folder, fileName);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(`${path}.new`, JSON.stringify(allocation));
      await rename(`${path}.new`, path);
    } catch (error) {
      if (before) this.#granted.set(uid, before);
      else this.#granted.delete(uid);
      throw error;
    }
  }

  async #load(): Promise<void> {
    const { folderOf, list, log } = this.#options;
    const uids = await list().catch(() => [] as string[]);
    await Promise.all(
      uids.map(async (uid) => {
        const folder = folderOf(uid);
        if (folder === undefined) return;
        try {
          this.#granted.set(uid, JSON.parse(await readFile(join(folder, fileName), "utf8")) as Allocation);
        } catch (error) {
          // A pod of an earlier version has none.
          if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
          log.warn("the resources granted to a pod could not be read", { uid, error: messageOf(error) });
        }
      }),
    );
  }
}
