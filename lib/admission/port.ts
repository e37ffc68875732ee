import type { Access, Kind, KubernetesObject, LegacyTokens, User } from "#api/meta";
import type { Clock, Random } from "#base";
import type { Client } from "#client";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** A write of an object, after defaults and before validation. */
export interface AdmissionRequest {
  operation: Operation;
  kind: Kind;
  subresource: string;
  namespace: string;
  name: string;
  user: User;
  /** The object to be written; `mutate` may change it. Absent for a delete. For a command the posted body. */
  object?: KubernetesObject;
  /** The stored object; shared, never changed. */
  previous?: KubernetesObject;
  dryRun: boolean;
  /** The owner of the fields that the write changes; "" for the control plane itself. */
  fieldManager: string;
}

export interface AdmissionContext {
  client: Client;
  clock: Clock;
  random: Random;
  /** Issues the tokens of secrets; absent where the process holds no keys. */
  tokens: LegacyTokens | undefined;
  /** Whether an action is allowed, for writes that need more than the right to write. */
  authorize: Access["authorize"];
}

/** One admission plugin. Throws an ApiError to refuse. */
export interface Plugin {
  name: string;
  mutate?(request: AdmissionRequest, context: AdmissionContext): Promise<void> | void;
  validate?(request: AdmissionRequest, context: AdmissionContext): Promise<void> | void;
  /** Runs when the write that `mutate` prepared is certainly not stored. */
  undo?(request: AdmissionRequest, context: AdmissionContext): Promise<void> | void;
  /** Runs once the write is stored. A controller repairs what a crash before it leaves behind. */
  settle?(request: AdmissionRequest, context: AdmissionContext): Promise<void> | void;
}
