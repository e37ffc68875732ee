import { canonicalArn } from "#api";
import type { User } from "#auth";

/** Who a principal is in the cluster. */
export interface AccessRow {
  /** The ARN of a role or a user; a role's path does not count, since sessions do not tell it. */
  principal: string;
  username?: string | undefined;
  groups: readonly string[];
}

/** What maps principals to people and nodes. */
export interface PrincipalOptions {
  /** The ARN of the first administrator, who cannot be locked out. */
  administrator?: string;
  /** Roles that EC2 alone may assume: their sessions are named by EC2 itself after the instance. */
  nodeRoles: readonly string[];
  /** The access entries, not older than some seconds. */
  entries(): Promise<readonly AccessRow[]>;
}

/** A principal as AWS names it. */
export interface Principal {
  arn: string;
  account: string;
  /** Never given to anybody else: `AROA…:session` or `AIDA…`. */
  id: string;
}

const assumed = /^arn:([\w-]+):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/([\w+=,.@-]+)$/;
const instance = /^i-[0-9a-f]{8,17}$/;

/** Maps a principal to a user; undefined for one that nothing was said of. */
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
