import type { Pod } from "#api";
import type { Clock, Timer } from "#base";
import type { ClusterEvent, Plugin, PodInfo } from "./framework/index.ts";

/** A pod that waits for a node. */
export interface Queued {
  info: PodInfo;
  /** When it was first queued, in milliseconds since the epoch: of two equal pods the older is first. */
  since: number;
  attempts: number;
  /** Names of the plugins that rejected it last; empty after a failure that no plugin caused. */
  rejectedBy: ReadonlySet<string>;
  /** It is not tried again before this time, in milliseconds since the epoch. */
  notBefore: number;
}

const firstBackoff = 1000;
const longestBackoff = 10_000;
/** Milliseconds after which a pod is tried again whatever the hints return. */
const longestWait = 5 * 60_000;
const flushEvery = 30_000;

const before = (a: Queued, b: Queued): boolean => {
  const [left, right] = [a.info.pod.spec?.priority ?? 0, b.info.pod.spec?.priority ?? 0];
  return left === right ? a.since < b.since : left > right;
};

/**
 * Pods without a node: `active` ones are tried next, those in `backoff` wait a second or more after a failure, and
 * `waiting` ones are unschedulable and wait for an event that may change it. A pod is in one of the three or in flight.
 */
export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #plugins: readonly Plugin[];
  readonly #wake: () => void;
  readonly #hintFailed: (plugin: Plugin, info: PodInfo, error: unknown) => void;
  /** A binary heap; its first pod is tried next. */
  readonly #active: Queued[] = [];
  readonly #backoff = new Map<string, { queued: Queued; timer: Timer }>();
  readonly #waiting = new Map<string, { queued: Queued; at: number }>();
  /** Pods in flight, with the events that arrived meanwhile. */
  readonly #inFlight = new Map<string, ClusterEvent[]>();
  readonly #known = new Map<string, Queued>();
  #flush: Timer | undefined;
  #closed = false;

  /** `hintFailed` is called for a hint that throws; the pod is then tried again. */
  constructor(
    clock: Clock,
    plugins: readonly Plugin[],
    wake: () => void,
    hintFailed: (plugin: Plugin, info: PodInfo, error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#plugins = plugins;
    this.#wake = wake;
    this.#hintFailed = hintFailed;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Pods that are active or in flight. */
  get busy(): number {
    return this.#active.length + this.#inFlight.size;
  }

  /** Adds a pod without a node, or updates it. */
  put(info: PodInfo): void {
    const known = this.#known.get(info.uid);
    if (!known) {
      const queued = { info, since: this.#clock.now(), attempts: 0, rejectedBy: new Set<string>(), notBefore: 0 };
      this.#known.set(info.uid, queued);
      this.#activate(queued);
      return;
    }
    const pod: Pod = info.pod;
    known.info = info;
    if (this.#waiting.has(info.uid)) this.#move(known, { type: "self-updated", pod });
    else this.#inFlight.get(info.uid)?.push({ type: "self-updated", pod });
  }

  /** Removes a pod that was deleted or bound. */
  drop(uid: string): void {
    const known = this.#known.get(uid);
    if (!known) return;
    this.#known.delete(uid);
    this.#waiting.delete(uid);
    this.#inFlight.delete(uid);
    this.#backoff.get(uid)?.timer.cancel();
    this.#backoff.delete(uid);
    // Removed pods stay in the heap until they are first.
  }

  /** The next pod to try; undefined when there is none. It is in flight until `failed` or `drop`. */
  take(): Queued | undefined {
    for (;;) {
      const next = this.#pop();
      if (!next) return undefined;
      if (this.#known.get(next.info.uid) !== next) continue;
      next.attempts++;
      this.#inFlight.set(next.info.uid, []);
      return next;
    }
  }

  /** A pod in flight was rejected, or its binding failed: it waits for events, or at least for its backoff. */
  failed(queued: Queued, rejectedBy: ReadonlySet<string>): void {
    const { uid } = queued.info;
    const missed = this.#inFlight.get(uid) ?? [];
    this.#inFlight.delete(uid);
    if (this.#known.get(uid) !== queued) return;
    queued.rejectedBy = rejectedBy;
    queued.notBefore = this.#clock.now() + Math.min(firstBackoff * 2 ** (queued.attempts - 1), longestBackoff);
    const mayFit = rejectedBy.size === 0 || missed.some((event) => this.#concerns(queued, event));
    if (mayFit) this.#backOff(queued);
    else this.#wait(queued);
  }

  /** Moves the waiting pods that an event may make schedulable. */
  event(event: ClusterEvent): void {
    for (const events of this.#inFlight.values()) events.push(event);
    for (const { queued } of [...this.#waiting.values()]) this.#move(queued, event);
  }

  close(): void {
    this.#closed = true;
    this.#flush?.cancel();
    for (const { timer } of this.#backoff.values()) timer.cancel();
  }

  #concerns({ info, rejectedBy }: Queued, event: ClusterEvent): boolean {
    return this.#plugins.some((plugin) => rejectedBy.has(plugin.name) && this.#hint(plugin, event, info));
  }

  /** As upstream, a hint that throws counts as true. */
  #hint(plugin: Plugin, event: ClusterEvent, info: PodInfo): boolean {
    try {
      return plugin.hint?.(event, info) ?? false;
    } catch (error) {
      this.#hintFailed(plugin, info, error);
      return true;
    }
  }

  #move(queued: Queued, event: ClusterEvent): void {
    if (!this.#concerns(queued, event)) return;
    this.#waiting.delete(queued.info.uid);
    this.#backOff(queued);
  }

  #wait(queued: Queued): void {
    this.#waiting.set(queued.info.uid, { queued, at: this.#clock.now() });
    this.#flush ??= this.#clock.timer(flushEvery, () => this.#flushWaiting());
  }

  #flushWaiting(): void {
    this.#flush = undefined;
    const now = this.#clock.now();
    for (const [uid, { queued, at }] of this.#waiting) {
      if (now - at < longestWait) continue;
      this.#waiting.delete(uid);
      this.#activate(queued);
    }
    if (this.#waiting.size > 0 && !this.#closed)
      this.#flush = this.#clock.timer(flushEvery, () => this.#flushWaiting());
  }

  #backOff(queued: Queued): void {
    const { uid } = queued.info;
    const delay = queued.notBefore - this.#clock.now();
    if (delay <= 0) {
      this.#activate(queued);
      return;
    }
    const timer = this.#clock.timer(delay, () => {
      this.#backoff.delete(uid);
      if (this.#known.get(uid) === queued) this.#activate(queued);
    });
    this.#backoff.set(uid, { queued, timer });
  }

  #activate(queued: Queued): void {
    const heap = this.#active;
    heap.push(queued);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!before(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
    this.#wake();
  }

  #pop(): Queued | undefined {
    const heap = this.#active;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}
