import type * as z from "zod";
import type { AccessContext, User } from "./access.ts";
import type { FieldError } from "./field-error.ts";
import type { NodeRequest, ProxyTarget } from "./node-request.ts";
import type { NodeUsage } from "./node-usage.ts";
import type { KubernetesObject } from "./object-meta.ts";
import type { Selector } from "./selector.ts";
import { type MessageShape, messageShapeOf } from "./shape.ts";

/** Group, version and kind. */
export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

/** `apps/v1`, or `v1` for the core group. */
export const apiVersionOf = ({ group, version }: { group: string; version: string }): string =>
  group === "" ? version : `${group}/${version}`;

/** One column of the table that `kubectl get` prints. */
export interface Column<T> {
  name: string;
  type: "string" | "integer" | "number" | "boolean" | "date";
  format?: string;
  /** 0 is always shown, above 0 only in wide output. */
  priority?: number;
  doc?: string;
  /** The cell; times are printed as ages against `now` (milliseconds). */
  value(object: T, now: number): string | number | boolean | null;
}

/** A condition of a row (meta/v1 TableRowCondition). */
export interface RowCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

/** What a hook may know beyond the object. */
export interface HookContext {
  /** Milliseconds. */
  now: number;
  /** Warns the client. */
  warn?: (text: string) => void;
  /** The user of the request; absent where the control plane itself acts. */
  user?: User;
}

/** The status subresource: writes to it keep everything else of the stored object, writes to the object keep the status. */
export interface StatusSubresource<T> {
  type: "status";
  /** After the stored object's spec has been put back: what else a status write may not change. */
  prepare?(next: T, previous: T, context: HookContext): void;
  validate?(next: T, previous: T): FieldError[];
  /** As those of the kind, for a status write. */
  warnings?(next: T): string[];
}

/** The scale subresource, autoscaling/v1 Scale in and out. */
export interface ScaleSubresource<T> {
  type: "scale";
  replicas(object: T): number;
  setReplicas(object: T, replicas: number): void;
  statusReplicas(object: T): number;
  /** The pods' selector as a string; undefined when there is none. */
  selector(object: T): string | undefined;
}

/** A subresource that takes the object itself and lets it change only one part, such as namespaces/finalize. */
export interface PartialUpdateSubresource<T> {
  type: "partialUpdate";
  /** The verbs. Defaults to `update`. */
  verbs?: readonly ("get" | "update" | "patch")[];
  /** Makes `next` of what was sent: everything but the part as it is stored. */
  prepare(next: T, previous: T, context: HookContext): void;
  validate?(next: T, previous: T): FieldError[];
}

/** A subresource to which another kind is posted and that changes the object, such as pods/binding. */
export interface CommandSubresource<T> {
  type: "command";
  accepts: GroupVersionKind;
  /** Changes the object. Throws an ApiError to refuse. */
  apply(object: T, body: KubernetesObject, context: HookContext): void;
}

/** A subresource that is answered by the node that runs the object, such as pods/log. */
export interface ConnectSubresource<T> {
  type: "connect";
  verbs: ("get" | "post")[];
  /** The kind that discovery lists for it. */
  accepts: GroupVersionKind;
  /**
   * The node and the request for it. Throws an ApiError where the object has no node yet.
   */
  target(object: T, query: URLSearchParams): { node: string; request: NodeRequest };
}

/** A request to a subresource `proxy`, whose path names its object as `[scheme:]name[:port]`. */
export interface ProxyRequest {
  namespace: string;
  name: string;
  /** A port's number or name; "" when the path has none. */
  port: string;
  scheme: "http" | "https";
}

/** Reads objects for a `ProxySubresource`. */
export interface ProxyContext {
  /** Throws ApiError 404. */
  get<T extends KubernetesObject>(kind: Kind<T>, name: { namespace?: string; name: string }): Promise<T>;
  list<T extends KubernetesObject>(
    kind: Kind<T>,
    request: { namespace: string; labels: Selector },
  ): Promise<{ items: T[] }>;
  /** At least 0 and below 1. */
  random(): number;
}

/** A subresource that passes HTTP requests on to a server in a pod, or to the node's kubelet, such as services/proxy. */
export interface ProxySubresource {
  type: "proxy";
  /** The kind that discovery lists for it. */
  accepts: GroupVersionKind;
  /** Finds the server. Throws an ApiError where there is none. */
  target(request: ProxyRequest, context: ProxyContext): Promise<ProxyTarget>;
}

/** A subresource to which another kind is posted as a question about the object, such as serviceaccounts/token. */
export interface ReviewSubresource<T> {
  type: "review";
  accepts: GroupVersionKind;
  /** Checks where the question belongs before its own kind checks it. Throws an ApiError to refuse. */
  place(question: KubernetesObject, object: { namespace: string; name: string }): void;
  /** Answers the review. Nothing is stored. `warnings` are sent to the client. */
  answer(
    object: T,
    question: KubernetesObject,
    context: AccessContext,
  ): Promise<{ object: KubernetesObject; warnings: string[] }>;
}

export type Subresource<T> =
  | StatusSubresource<T>
  | ScaleSubresource<T>
  | PartialUpdateSubresource<T>
  | CommandSubresource<T>
  | ReviewSubresource<T>
  | ConnectSubresource<T>
  | ProxySubresource;

export type NameRule = "dns-subdomain" | "dns-label" | "dns-label-1035" | "path-segment" | "ip";

/** The options of a delete. */
export interface DeleteRequest {
  /** Seconds; undefined when the client left it to the object. */
  gracePeriodSeconds: number | undefined;
}

/** What objects are computed from. */
export interface ComputeContext {
  /** Milliseconds. */
  now: number;
  /** Stored objects: all of a namespace, all, or the named one where it exists. */
  read<T extends KubernetesObject>(kind: Kind<T>, which: { namespace?: string; name?: string }): Promise<T[]>;
  /** What a node measures; undefined where it does not answer in time. */
  usage(node: string): Promise<NodeUsage | undefined>;
}

/** Reads a selectable field. Written as a method so that a definition of one kind is a definition of any kind. */
export type FieldValue<T> = { read(object: T): string }["read"];

/** A kind: its differences from the standard behaviour. Generic rooms read these properties and name no kind. */
export interface Kind<T extends KubernetesObject = KubernetesObject> extends GroupVersionKind {
  plural: string;
  singular: string;
  shortNames?: readonly string[];
  categories?: readonly string[];
  scope: "Namespaced" | "Cluster";
  /** The fields of its objects, from which decoding, protobuf, OpenAPI, defaults and patches are derived. */
  shape: MessageShape;
  /**
   * The storage type. Defaults to `<group>/<plural>`, with `core` for the core group. Kinds may share a storage type.
   */
  storage?: string;
  /**
   * How this kind's objects are stored, where another kind owns the storage type: both conversions, pure and lossless.
   */
  stored?: { as: GroupVersionKind; to(object: T): KubernetesObject; from(object: KubernetesObject): T };
  /** Not in discovery and not served over HTTP: for the control plane's own records. */
  internal?: true;
  /** The verbs. Defaults to all eight. */
  verbs?: readonly Verb[];
  /** The rule for names. Defaults to `dns-subdomain`. */
  name?: NameRule;
  /** Fills absent fields. Static defaults are facts of the fields (`default`) and are applied before this runs. */
  defaults?(object: T): void;
  /** Warnings for the client, without a prefix. `previous` is absent for a new object. */
  warnings?(object: T, previous: T | undefined): string[];
  /** A warning for every request for the kind, where it is deprecated. */
  deprecation?: string;
  validate?(object: T): FieldError[];
  /** What only a new object must fulfil; `validate` has already run. */
  validateCreate?(object: T): FieldError[];
  /** `validate` has already run on `next`. */
  validateUpdate?(next: T, previous: T): FieldError[];
  /** Clears what a client may not set, before defaults and validation. Clearing the status is standard. */
  prepareForCreate?(object: T, context: HookContext): void;
  /** Restores what a client may not change, before validation. Keeping the status is standard. */
  prepareForUpdate?(next: T, previous: T, context: HookContext): void;
  /**
   * Demands more of a writer than the right to write. Runs after admission has changed the object and before
   * validation; throws an ApiError to refuse. `previous` is absent for a new object.
   */
  guard?(object: T, previous: T | undefined, context: AccessContext): Promise<void>;
  /** For reviews, which are posted, answered and never stored: returns the answer. Their only verb is `create`. */
  answer?(object: T, context: AccessContext): Promise<T> | T;
  /**
   * For objects that are never stored: makes those in a namespace, or all with the namespace "", or the named one where
   * it exists. The verbs are `get` and `list`.
   */
  compute?(request: { namespace: string; name?: string }, context: ComputeContext): Promise<T[]>;
  /** The part whose change raises metadata.generation. Absent: the kind has no generation. */
  generation?(object: T): unknown;
  /** A new object may come with its status; without it the status of a new object is cleared. */
  keepsStatusOnCreate?: true;
  /** PUT of an absent object creates it. */
  createOnUpdate?: true;
  /** PUT must carry a resourceVersion. */
  conditionalUpdate?: true;
  /**
   * Graceful deletion: seconds that the object has to end itself; 0 deletes at once. Without it deletion is at once.
   */
  gracePeriod?(object: T, request: DeleteRequest): number;
  /** What deleting does to the object when it stays for its finalizers or its grace. */
  prepareForDelete?(object: T, context: HookContext): void;
  /** Whether the object may be removed once metadata.finalizers is empty; for finalizers in another place. */
  isRemovable?(object: T): boolean;
  /** A delete answers with the object, where others answer with a Status. */
  deleteReturnsObject?: true;
  /** The propagation policy of deletes without one. Defaults to `background`. */
  defaultPropagation?: "background" | "orphan";
  /** A warning for deletes without a propagation policy. */
  deleteWarning?: string;
  subresources?: Readonly<Record<string, Subresource<T>>>;
  columns?: readonly Column<T>[];
  /** Conditions of the object's row in tables, such as Completed; clients may hide such rows. */
  rowConditions?(object: T): RowCondition[];
  /** Selectable fields besides metadata.name and metadata.namespace. They are stored in the index. */
  fields?: Readonly<Record<string, FieldValue<T>>>;
  /** Selectable names that mean another, such as `spec.host` for `spec.nodeName`; with `stored`, all that there are. */
  fieldAliases?: Readonly<Record<string, string>>;
  /** Objects are deleted this many milliseconds after their last write. */
  lifetime?: number;
  /** How many shards the log of a new store has for the storage type, where logs have shards. Defaults to 1. */
  shards?: number;
}

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

export const allVerbs: readonly Verb[] = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
];

/** The storage type of a kind. */
export const storageOf = (kind: Pick<Kind, "group" | "plural" | "storage">): string =>
  kind.storage ?? `${kind.group === "" ? "core" : kind.group}/${kind.plural}`;

/** A kind whose shape is compiled from a zod schema. */
export interface KindDefinition<T extends KubernetesObject> extends Omit<Kind<T>, "shape"> {
  schema: z.ZodType<T>;
}

/** Defines a kind by a zod schema, which is compiled on first use. The result is usable wherever any kind is. */
export function defineKind<T extends KubernetesObject>({ schema, ...rest }: KindDefinition<T>): Kind<T> {
  let shape: MessageShape | undefined;
  return {
    ...rest,
    get shape() {
      shape ??= messageShapeOf(schema);
      return shape;
    },
  };
}
