import type { FieldTerm, Kind, KubernetesObject, Selector } from "#api/meta";

export interface ObjectName {
  /** Absent for what has no namespace. */
  namespace?: string | undefined;
  name: string;
}

export interface ListRequest {
  namespace?: string | undefined;
  labels?: Selector;
  fields?: readonly FieldTerm[];
  /** Only objects that this uid owns; "" for those that nobody owns. */
  owner?: string;
}

export interface ListResult<T> {
  items: T[];
  /** Where a watch goes on. */
  revision: string;
}

export interface WriteRequest {
  /** Write to this subresource, such as `status`. */
  subresource?: string;
  /** Checks everything and keeps nothing. */
  dryRun?: true;
}

export interface PatchRequest extends WriteRequest {
  type: "merge" | "json" | "strategic";
}

export interface RemoveRequest {
  uid?: string | undefined;
  revision?: string | undefined;
  gracePeriodSeconds?: number;
  propagation?: "Background" | "Foreground" | "Orphan";
}

export interface WatchRequest extends Omit<ListRequest, "owner"> {
  /** From where; absent: the objects that are there come first, as ADDED. */
  revision?: string;
  signal: AbortSignal;
}

export type WatchEvent<T> =
  | {
      type: "ADDED" | "MODIFIED" | "DELETED";
      object: T;
      /** How the object stood before, where the server knows (in process). */
      readonly previous?: T;
    }
  /** Nothing changed, but everything up to this revision has been told; `initial` ends the objects that were there. */
  | { type: "BOOKMARK"; revision: string; initial: boolean };

/**
 * The API as the control plane and the agents use it. Objects that come back are shared and must not be changed:
 * clone before changing. Every method rejects with an ApiError: NotFound, Conflict, AlreadyExists, Invalid …
 */
export interface Client {
  get<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName): Promise<T>;
  /** Everything acknowledged before the call is in the result. */
  list<T extends KubernetesObject>(kind: Kind<T>, request?: ListRequest): Promise<ListResult<T>>;
  create<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest): Promise<T>;
  /** Replaces; an object with a resourceVersion must still be at it. */
  update<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest): Promise<T>;
  patch<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, patch: unknown, request: PatchRequest): Promise<T>;
  /** Deletes; undefined when the object is gone, the object when it stays for its grace or its finalizers. */
  remove<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, request?: RemoveRequest): Promise<T | undefined>;
  /** Posts `body` to a subresource that acts on the object, such as `binding`, or answers, such as `token`. */
  act<T extends KubernetesObject>(
    kind: Kind<T>,
    name: ObjectName,
    subresource: string,
    body: KubernetesObject,
  ): Promise<KubernetesObject | undefined>;
  /** Changes from a revision on; ends with an ApiError Expired when it is too old, silently when the signal aborts. */
  watch<T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest): AsyncIterable<WatchEvent<T>>;
}
