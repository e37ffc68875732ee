import type { Deployment } from "./deployment.ts";

export type Status = "ok" | "warning" | "failed" | "unknown";

export interface Finding {
  status: Status;
  /** The result, in a few words. */
  says: string;
  /** How to correct it. */
  todo?: string;
}

/** The settings of every AWS client. */
export interface ClientSettings {
  region: string;
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  maxAttempts: number;
  requestHandler: { connectionTimeout: number; requestTimeout: number; throwOnRequestTimeout: true };
}

export interface CheckContext {
  deployment: Deployment;
  aws: ClientSettings;
  /** The account that the credentials are for. */
  account: string;
}

/** One check. Rejects with AWS's error when it cannot read what it needs. */
export interface Check {
  name: string;
  /** The IAM actions that it needs. */
  asks: readonly string[];
  run(context: CheckContext): Promise<Finding[]>;
}

export const ok = (says: string): Finding => ({ status: "ok", says });
export const warning = (says: string, todo: string): Finding => ({ status: "warning", says, todo });
export const failed = (says: string, todo: string): Finding => ({ status: "failed", says, todo });
export const unknown = (says: string, todo?: string): Finding => ({
  status: "unknown",
  says,
  ...(todo === undefined ? {} : { todo }),
});
