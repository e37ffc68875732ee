/**
 * What one check has come to. `unknown`: it could not be made, which says nothing of the container; `warning` counts
 * as a success.
 */
export interface CheckResult {
  outcome: "success" | "warning" | "failure" | "unknown";
  /** What events say. */
  output: string;
}

export const success = (output: string): CheckResult => ({ outcome: "success", output });
export const failure = (output: string): CheckResult => ({ outcome: "failure", output });
