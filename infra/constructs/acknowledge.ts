import { Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";

/** Records why a rule of the checks does not apply to a construct. */
export function acknowledge(on: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    Validations.of(on).acknowledge({ id: `AwsSolutions-${rule}`, reason });
  }
}
