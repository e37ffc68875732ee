/**
 * The result of one check. `unknown`: the check could not be run, so nothing is known of the container; `warning`
 * counts as a success.
 */
export interface CheckResult {
  outcome: "success" | "warning" | "failure" | "unknown";
  /** For events. */
  output: string;
}

export const success = (output: string): CheckResult => ({ outcome: "success", output });
export const failure = (output: string): CheckResult => ({ outcome: "failure", output });
