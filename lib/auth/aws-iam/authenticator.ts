import { createHash } from "node:crypto";
import type { Authenticator, User } from "#auth";
import { type Clock, type Log, messageOf, unauthorized } from "#base";
import { type Principal, type PrincipalOptions, userOf } from "./principals.ts";
import { clusterHeader, isStsToken, readToken } from "./token.ts";

/** Sends a request to STS. It must refuse redirects and time out after about ten seconds. */
export type Sts = (url: string, headers: Record<string, string>) => Promise<{ status: number; body: string }>;

export interface StsTokenOptions extends PrincipalOptions {
  /**
   * The id that tokens must have signed. It must be unique: tokens of another cluster with this id would be valid here.
   */
  clusterId: string;
  hosts: ReadonlySet<string>;
  sts: Sts;
  clock: Clock;
  log: Log;
}

/** The number of cached tokens: without a cache every request would call STS. */
const remembered = 1000;
/** For how long the refusal of a token by STS is cached. */
const refusedFor = 10_000;

/** Authenticates EKS-style bearer tokens. Throws ApiError 401 for an invalid one; the reason is logged only. */
export function stsTokens(options: StsTokenOptions): Authenticator {
  const { clock, log, hosts } = options;
  /** By the hash of the token: a valid token is a secret. */
  const known = new Map<string, { until: number; principal: Promise<Principal | undefined> }>();

  const principalOf = (token: string): Promise<Principal | undefined> => {
    const { url, expires } = readToken(token, hosts, clock.now());
    const hash = createHash("sha256").update(token).digest("hex");
    const found = known.get(hash);
    if (found && found.until > clock.now()) return found.principal;
    const entry = { until: expires, principal: identify(options, url) };
    forgetOldest(known);
    known.set(hash, entry);
    entry.principal.then(
      (principal) => {
        if (!principal) entry.until = Math.min(expires, clock.now() + refusedFor);
      },
      () => known.delete(hash),
    );
    return entry.principal;
  };

  return async ({ headers }) => {
    const token = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1];
    if (token === undefined || !isStsToken(token)) return undefined;
    let user: User | undefined;
    try {
      const principal = await principalOf(token);
      user = principal && (await userOf(principal, options));
      if (principal && !user) log.info("no access entry names this principal", { arn: principal.arn });
    } catch (error) {
      log.info("a token was refused", { why: messageOf(error) });
    }
    if (!user) throw unauthorized();
    return user;
  };
}

function forgetOldest(known: Map<string, unknown>): void {
  if (known.size < remembered) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}

/**
 * The principal that STS returns; undefined when STS refuses. The token has signed the header with this cluster's id,
 * so it is for this cluster.
 */
async function identify({ sts, clusterId, log }: StsTokenOptions, url: string): Promise<Principal | undefined> {
  const answer = await sts(url, { [clusterHeader]: clusterId, accept: "application/json" });
  if (answer.status >= 500 || answer.status === 429) throw new Error(`STS answered ${answer.status}`);
  if (answer.status !== 200) {
    log.info("STS refused a token", { status: answer.status });
    return undefined;
  }
  const { GetCallerIdentityResponse } = JSON.parse(answer.body) as {
    GetCallerIdentityResponse?: { GetCallerIdentityResult?: { Account?: string; Arn?: string; UserId?: string } };
  };
  const { Account, Arn, UserId } = GetCallerIdentityResponse?.GetCallerIdentityResult ?? {};
  if (Account === undefined || Arn === undefined || UserId === undefined) throw new Error("STS returned no principal");
  return { arn: Arn, account: Account, id: UserId };
}
