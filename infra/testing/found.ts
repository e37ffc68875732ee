import type { Resource } from "../wiring.ts";
import type { Synthesized } from "./index.ts";

// biome-ignore lint/suspicious/noExplicitAny: templates have no types
export type Any = any;

/** A resource, with its stack. */
export interface Found extends Resource {
  id: string;
  stack: string;
  Properties: Record<string, Any>;
}

/** The resources of all stacks, of some types. */
export const resources = ({ templates }: Synthesized, ...types: string[]): Found[] =>
  Object.entries(templates).flatMap(([stack, { Resources }]) =>
    Object.entries(Resources)
      .filter(([, { Type }]) => types.length === 0 || types.includes(Type))
      .map(([id, resource]) => ({ ...resource, Properties: resource.Properties ?? {}, id, stack })),
  );

export interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Principal?: unknown;
}

export const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** The statements of all principals: roles and policies, without resource policies. */
export const statements = (app: Synthesized): (Statement & { of: string })[] =>
  resources(app, "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy").flatMap(({ id, Properties }) =>
    [...(Properties["Policies"] ?? []), ...(Properties["PolicyDocument"] ? [Properties] : [])].flatMap((policy) =>
      policy.PolicyDocument.Statement.map((statement: Statement) => ({ ...statement, of: id })),
    ),
  );
