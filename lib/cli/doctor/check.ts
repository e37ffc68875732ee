import type { Deployment } from "./deployment.ts";

export type Status = "ok" | "warning" | "failed" | "unknown";

export interface Finding {
  status: Status;
  /** How it is, in a few words. */
  says: string;
  /** What to do about it. */
  todo?: string;
}

/** How every client of AWS is made here. */
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

/** One thing that is looked at. It rejects with AWS's error where it cannot ask. */
export interface Check {
  name: string;
  /** What it must be allowed to do, in IAM's words. */
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
