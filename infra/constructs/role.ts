import { aws_iam as iam, Stack, Validations } from "aws-cdk-lib";
import type { Construct, IConstruct } from "constructs";
import type { Permission } from "../permissions.ts";

const wildcardReasons = new WeakMap<IConstruct, Permission[]>();

const statementOf = ({ actions, resources, conditions }: Permission): iam.PolicyStatement =>
  new iam.PolicyStatement({ actions, resources, ...(conditions ? { conditions } : {}) });

/**
 * A service that may assume a role only for resources of this account, and not for another account that names the role
 * (the confused deputy). For services that send a source account.
 */
export const serviceInThisAccount = (scope: Construct, service: string): iam.ServicePrincipal =>
  new iam.ServicePrincipal(service, {
    conditions: { StringEquals: { "aws:SourceAccount": Stack.of(scope).account } },
  });

/** A role with exactly these permissions: CDK's own additions are left out. */
export function role(
  scope: Construct,
  id: string,
  { by, may, description }: { by: iam.IPrincipal; may: readonly Permission[]; description: string },
): iam.Role {
  const created = new iam.Role(scope, id, {
    assumedBy: by,
    description,
    ...(may.length === 0
      ? {}
      : { inlinePolicies: { may: new iam.PolicyDocument({ statements: may.map(statementOf) }) } }),
  });
  rememberReasons(created, may);
  return created;
}

/** Adds permissions of this stack to a role of another stack. */
export function policy(scope: Construct, id: string, to: iam.IRole, may: readonly Permission[]): iam.Policy {
  const created = new iam.Policy(scope, id, { roles: [to], statements: may.map(statementOf) });
  rememberReasons(created, may);
  return created;
}

function rememberReasons(on: IConstruct, may: readonly Permission[]): void {
  for (const { actions, resources, because } of may) {
    if (because === undefined && resources.some((resource) => resource.includes("*"))) {
      throw new Error(`${on.node.path}: ${actions.join(", ")} has a wildcard and no reason`);
    }
  }
  wildcardReasons.set(on, [...(wildcardReasons.get(on) ?? []), ...may.filter(({ because }) => because !== undefined)]);
}

/** Records why a wildcard is needed. References have their final form only after synthesis. */
export function acknowledgeWildcards(root: IConstruct): void {
  for (const construct of root.node.findAll()) {
    for (const { resources, because = "" } of wildcardReasons.get(construct) ?? []) {
      for (const resource of resources) {
        const flat = flatten(Stack.of(construct).resolve(resource));
        if (!flat.includes("*")) continue;
        Validations.of(construct).acknowledge({ id: `AwsSolutions-IAM5[Resource::${flat}]`, reason: because });
      }
    }
  }
}

/** A reference as the checks write it in a finding. */
function flatten(value: unknown): string {
  if (typeof value === "string") return value;
  const [name, inner] = Object.entries(value as Record<string, unknown>)[0] ?? [];
  if (name === "Fn::Join") {
    const [separator, items] = inner as [string, unknown[]];
    return items.map(flatten).join(separator);
  }
  if (name === "Fn::GetAtt") return `<${(inner as string[]).join(".")}>`;
  if (name === "Fn::ImportValue") return flatten(inner);
  if (name === "Ref") return `<${String(inner)}>`;
  return JSON.stringify(value);
}
