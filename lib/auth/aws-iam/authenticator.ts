import { createHash } from "node:crypto";
import type { Authenticator, User } from "#auth";
import { type Clock, type Log, messageOf, unauthorized } from "#base";
import { type Principal, type PrincipalOptions, userOf } from "./principals.ts";
import { clusterHeader, isStsToken, readToken } from "./token.ts";

/** Asks STS. It must refuse redirects and give up after about ten seconds. */
export type Sts = (url: string, headers: Record<string, string>) => Promise<{ status: number; body: string }>;

export interface StsTokenOptions extends PrincipalOptions {
  /** What tokens must have signed: no other cluster may have this id, or its tokens would be good here. */
  clusterId: string;
  hosts: ReadonlySet<string>;
  sts: Sts;
  clock: Clock;
  log: Log;
}

/** So many tokens are remembered: STS would be asked at every request otherwise. */
const remembered = 1000;
/** A token that STS refused is not asked about again for so long. */
const refusedFor = 10_000;

/** Understands EKS-style bearer tokens. Throws ApiError 401 for one that is wrong; only the log is told why. */
export function stsTokens(options: StsTokenOptions): Authenticator {
  const { clock, log, hosts } = options;
  /** By the hash of the token: a token is a secret for as long as it lives. */
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

/** Who STS says it is; undefined when STS refuses. The header is ours, and signed: so the token is for this cluster. */
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
  if (Account === undefined || Arn === undefined || UserId === undefined) throw new Error("STS did not say who it is");
  return { arn: Arn, account: Account, id: UserId };
}
