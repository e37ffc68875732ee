import { canonicalArn } from "#api";
import type { User } from "#auth";

/** A principal's user in the cluster. */
export interface AccessRow {
  /** The ARN of a role or a user, without a role's path, which sessions do not have. */
  principal: string;
  username?: string | undefined;
  groups: readonly string[];
}

/** What maps principals to users and nodes. */
export interface PrincipalOptions {
  /** The ARN of the first administrator, which cannot be locked out. */
  administrator?: string;
  /** Roles that only EC2 may assume: EC2 names their sessions after the instance. */
  nodeRoles: readonly string[];
  /** The access entries, some seconds old at most. */
  entries(): Promise<readonly AccessRow[]>;
}

/** A principal of AWS. */
export interface Principal {
  arn: string;
  account: string;
  /** The unique id, which is never reused: `AROA…:session` or `AIDA…`. */
  id: string;
}

const assumed = /^arn:([\w-]+):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/([\w+=,.@-]+)$/;
const instance = /^i-[0-9a-f]{8,17}$/;

/** Maps a principal to a user; undefined for an unknown one. */
export async function userOf(principal: Principal, options: PrincipalOptions): Promise<User | undefined> {
  const arn = canonicalArn(principal.arn);
  if (arn === undefined) return undefined;
  const is = (other: string) => canonicalArn(other) === arn;
  const extra = {
    arn: [principal.arn],
    canonicalArn: [arn],
    principalId: [principal.id],
    sessionName: [assumed.exec(principal.arn)?.[4] ?? ""],
  };
  const standing = "system:authenticated";
  if (options.nodeRoles.some(is)) {
    const name = assumed.exec(principal.arn)?.[4] ?? "";
    if (!instance.test(name)) return undefined;
    return { name: `system:node:${name}`, uid: principal.id, groups: ["system:nodes", standing], extra };
  }
  if (options.administrator !== undefined && is(options.administrator)) {
    return { name: arn, uid: principal.id, groups: ["system:masters", standing], extra };
  }
  const entry = (await options.entries()).find((each) => is(each.principal));
  if (!entry) return undefined;
  return { name: entry.username ?? arn, uid: principal.id, groups: [...entry.groups, standing], extra };
}
