import type { IPolicyValidationContext, IPolicyValidationPlugin, PolicyValidationPluginReport } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import type { IConstruct } from "constructs";
import { acknowledgeWildcards } from "./constructs/role.ts";

/** What the rules of AWS Solutions find in a tree that has been synthesized, less what has a reason. */
export function check(root: IConstruct): PolicyValidationPluginReport {
  acknowledgeWildcards(root);
  return new AwsSolutionsChecks().validateScope(root);
}

/** The same as a plugin: synthesis ends with an error when something is found. */
export const houseChecks = (root: IConstruct): IPolicyValidationPlugin => ({
  name: "skiff",
  validate: (_context: IPolicyValidationContext) => check(root),
});
