import type { FieldTerm, Kind, KubernetesObject, Selector } from "#api/meta";

export interface ObjectName {
  /** Absent for cluster-scoped kinds. */
  namespace?: string | undefined;
  name: string;
}

export interface ListRequest {
  namespace?: string | undefined;
  labels?: Selector;
  fields?: readonly FieldTerm[];
  /** Only objects with this uid among their owners; "" for those without owners. */
  owner?: string;
}

export interface ListResult<T> {
  items: T[];
  /** The revision from which a watch continues. */
  revision: string;
}

export interface WriteRequest {
  /** Write to this subresource, such as `status`. */
  subresource?: string;
  /** Validates the request and stores nothing. */
  dryRun?: true;
}

export interface PatchRequest extends WriteRequest {
  type: "merge" | "json" | "strategic";
}

export interface DeleteRequest {
  uid?: string | undefined;
  revision?: string | undefined;
  gracePeriodSeconds?: number;
  propagation?: "Background" | "Foreground" | "Orphan";
}

export interface WatchRequest extends Omit<ListRequest, "owner"> {
  /** The revision to start after. Absent: existing objects are delivered first, as ADDED. */
  revision?: string;
  signal: AbortSignal;
}

export type WatchEvent<T> =
  | {
      type: "ADDED" | "MODIFIED" | "DELETED";
      object: T;
      /** The object before the change, in process only. */
      readonly previous?: T;
    }
  /** Everything up to this revision has been delivered; `initial` ends the existing objects. */
  | { type: "BOOKMARK"; revision: string; initial: boolean };

/**
 * The API as the control plane and the agents use it. Returned objects are shared and must not be changed: clone them
 * first. Every method rejects with an ApiError: NotFound, Conflict, AlreadyExists, Invalid …
 */
export interface Client {
  get<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName): Promise<T>;
  /** Everything acknowledged before the call is in the result. */
  list<T extends KubernetesObject>(kind: Kind<T>, request?: ListRequest): Promise<ListResult<T>>;
  create<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest): Promise<T>;
  /** Replaces an object. An object with a resourceVersion must still have it. */
  update<T extends KubernetesObject>(kind: Kind<T>, object: T, request?: WriteRequest): Promise<T>;
  patch<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, patch: unknown, request: PatchRequest): Promise<T>;
  /**
   * Deletes an object. Resolves with undefined when it is gone, and with the object while it waits for its grace period
   * or finalizers.
   */
  delete<T extends KubernetesObject>(kind: Kind<T>, name: ObjectName, request?: DeleteRequest): Promise<T | undefined>;
  /** Posts `body` to a subresource that changes the object, such as `binding`, or answers a review, such as `token`. */
  createSubresource<T extends KubernetesObject>(
    kind: Kind<T>,
    name: ObjectName,
    subresource: string,
    body: KubernetesObject,
  ): Promise<KubernetesObject | undefined>;
  /** Changes after a revision. Throws ApiError Expired when it is too old; ends when the signal aborts. */
  watch<T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest): AsyncIterable<WatchEvent<T>>;
}
