import type { Access, Kind, User } from "#api/meta";
import type { WriteOptions } from "./options.ts";
import type { Resource } from "./registry.ts";
import type { Resources } from "./resources.ts";

/** One operation on a resource, by a user whose right to it has been checked. */
export interface Call {
  readonly resources: Resources;
  readonly resource: Resource;
  readonly user: User;
  /** For hooks of kinds that ask about rights and tokens. */
  readonly access: Access;
  /** "" for kinds without namespaces, and for all namespaces. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly options: WriteOptions;
  /** Warnings for the client. */
  readonly warnings: string[];
}

/** Adds warnings one at a time: JavaScript passes some 120,000 arguments to a function, and an object may cause more. */
export function warn({ warnings }: Call, texts: readonly string[]): void {
  for (const text of texts) warnings.push(text);
}

/** A patch that is applied again after a lost race warns again: its earlier warnings are dropped. */
export function replaceWarnings(call: Call, warnings: readonly string[]): void {
  const { deprecation } = call.resource.kind;
  call.warnings.length = 0;
  warn(call, deprecation === undefined ? warnings : [deprecation, ...warnings]);
}

export const kindOf = (call: Call): Kind => call.resource.kind;

/** A kind as errors name it. */
export const named = (kind: Kind): { group: string; resource: string } => ({
  group: kind.group,
  resource: kind.plural,
});
