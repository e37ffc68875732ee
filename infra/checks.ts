import type { IPolicyValidationContext, IPolicyValidationPlugin, PolicyValidationPluginReport } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import type { IConstruct } from "constructs";
import { acknowledgeWildcards } from "./constructs/role.ts";

/** The findings of the AWS Solutions rules in a synthesized tree, without those that have a reason. */
export function check(root: IConstruct): PolicyValidationPluginReport {
  acknowledgeWildcards(root);
  return new AwsSolutionsChecks().validateScope(root);
}

/** The same as a plugin: a finding fails the synthesis. */
export const houseChecks = (root: IConstruct): IPolicyValidationPlugin => ({
  name: "skiff",
  validate: (_context: IPolicyValidationContext) => check(root),
});
