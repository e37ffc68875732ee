import type { Pod, PodStatus } from "#api";
import { type Clock, deepEqual, ignoreNotFound, isReason, type Log, messageOf, type Timer } from "#base";
import { ownsCondition, statusToWrite } from "#kubelet";
import type { PodApi } from "./context.ts";

/** Whether two states of a pod differ only in fields that the kubelet writes. */
export function equalExceptStatus(a: Pod, b: Pod): boolean {
  const fieldsOfOthers = ({ metadata, spec, status }: Pod) => {
    const { resourceVersion: _, managedFields: __, ...rest } = metadata;
    return { rest, spec, others: (status?.conditions ?? []).filter(({ type }) => !ownsCondition(type)) };
  };
  return deepEqual(fieldsOfOthers(a), fieldsOfOthers(b));
}

interface Pending {
  pod: Pod;
  status: PodStatus;
}

const maxWrites = 16;
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 60_000;

/** Writes pods' statuses: the newest of each pod if it differs from the stored one, a limited number at a time. */
export class StatusWriter {
  readonly #api: PodApi;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pending = new Map<string, Pending>();
  readonly #writing = new Set<string>();
  /** The status that was last set, written or not. */
  readonly #latest = new Map<string, PodStatus>();
  readonly #delays = new Map<string, number>();
  /** Pods as stored by the last write: the watch may be behind. */
  readonly #stored = new Map<string, Pod>();
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #retries = new Set<Timer>();
  readonly #delayed = new Set<string>();
  #stopped = false;

  constructor(api: PodApi, clock: Clock, log: Log) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
  }

  set(pod: Pod, status: PodStatus): void {
    const uid = pod.metadata.uid ?? "";
    this.#latest.set(uid, status);
    this.#pending.set(uid, { pod, status });
    this.#pump();
  }

  /** The status that was last set for the pod, written or not. */
  latest(uid: string): PodStatus | undefined {
    return this.#latest.get(uid);
  }

  /** The API now has this pod: its status is written again if it differs from the last one set. */
  reconcile(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const latest = this.#latest.get(uid);
    if (!latest || this.#pending.has(uid) || this.#writing.has(uid)) return;
    if (statusToWrite(pod.status, latest, this.#clock.now())) this.set(pod, latest);
  }

  /** Resolves when everything that was set for the pod so far is written, or the pod no longer exists. */
  flush(uid: string): Promise<void> {
    if (!this.#pending.has(uid) && !this.#writing.has(uid)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(uid, [...(this.#waiting.get(uid) ?? []), resolve]);
    });
  }

  get busy(): number {
    return this.#pending.size + this.#writing.size;
  }

  forget(uid: string): void {
    this.#pending.delete(uid);
    this.#stored.delete(uid);
    this.#latest.delete(uid);
    this.#delays.delete(uid);
    this.#settle(uid);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#retries) timer.cancel();
  }

  #pump(): void {
    for (const [uid, pending] of this.#pending) {
      if (this.#stopped || this.#writing.size >= maxWrites) return;
      if (this.#writing.has(uid) || this.#delayed.has(uid)) continue;
      this.#pending.delete(uid);
      this.#writing.add(uid);
      void this.#write(uid, pending)
        .catch((error) => this.#retry(uid, pending, error))
        .finally(() => {
          this.#writing.delete(uid);
          this.#settle(uid);
          this.#pump();
        });
    }
  }

  #settle(uid: string): void {
    if (this.#pending.has(uid) || this.#writing.has(uid)) return;
    for (const resolve of this.#waiting.get(uid) ?? []) resolve();
    this.#waiting.delete(uid);
  }

  #retry(uid: string, pending: Pending, error: unknown): void {
    this.#log.warn("a pod's status could not be written", { pod: pending.pod.metadata.name, error: messageOf(error) });
    // A newer status may have been set meanwhile; it replaces this one.
    if (!this.#pending.has(uid)) this.#pending.set(uid, pending);
    this.#delayed.add(uid);
    const delay = this.#delays.get(uid) ?? firstRetryMilliseconds;
    this.#delays.set(uid, Math.min(delay * 2, lastRetryMilliseconds));
    const timer = this.#clock.timer(delay, () => {
      this.#retries.delete(timer);
      this.#delayed.delete(uid);
      this.#pump();
    });
    this.#retries.add(timer);
  }

  async #write(uid: string, { pod, status }: Pending): Promise<void> {
    const stored = this.#stored.get(uid);
    let base = stored && isNewer(stored, pod) ? stored : pod;
    for (;;) {
      const next = statusToWrite(base.status, status, this.#clock.now());
      if (!next) return;
      try {
        this.#stored.set(uid, await this.#api.updateStatus({ ...base, status: next }));
        this.#delays.delete(uid);
        return;
      } catch (error) {
        if (isReason(error, "NotFound")) return;
        if (!isReason(error, "Conflict")) throw error;
      }
      const current = await ignoreNotFound(this.#api.get(pod.metadata.namespace ?? "", pod.metadata.name ?? ""));
      // The pod is deleted, or another one has its name.
      if (!current || current.metadata.uid !== uid) return;
      base = current;
    }
  }
}

const isNewer = (a: Pod, b: Pod): boolean =>
  BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0);
