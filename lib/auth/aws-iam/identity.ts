import { accessEntries } from "#api";
import type { Authenticator } from "#auth";
import { stsHosts } from "#aws";
import type { Clock, Log } from "#base";
import type { Client } from "#client";
import { type Sts, stsTokens } from "./authenticator.ts";
import type { AccessRow, PrincipalOptions } from "./principals.ts";
import { signedRequests } from "./signed-requests.ts";

export interface IdentityOptions {
  /** Reads access entries. */
  client: Client;
  clusterId: string;
  /** ARN of the first administrator, which also has the partition. */
  administrator: string;
  nodeRoles: readonly string[];
  sts: Sts;
  clock: Clock;
  log: Log;
}

/** For how long access entries are cached: a removed principal keeps its access for as long. */
const maxAge = 5000;

/**
 * The two authenticators: tokens that are presigned requests to STS, and requests whose signature API Gateway has
 * verified.
 */
export function identity(options: IdentityOptions): Authenticator[] {
  const { client, clusterId, administrator, nodeRoles, sts, clock, log } = options;
  const partition = administrator.split(":")[1] ?? "aws";
  let read: { at: number; rows: Promise<AccessRow[]> } | undefined;
  const rows = async (): Promise<AccessRow[]> => {
    const { items } = await client.list(accessEntries);
    return items.map(({ spec }) => ({
      principal: spec?.principalArn ?? "",
      username: spec?.username || undefined,
      groups: spec?.groups ?? [],
    }));
  };
  const principals: PrincipalOptions = {
    administrator,
    nodeRoles,
    entries() {
      if (!read || clock.now() - read.at > maxAge) {
        const fresh = { at: clock.now(), rows: rows() };
        // A failure is not cached: the next request reads again.
        fresh.rows.catch(() => {
          if (read === fresh) read = undefined;
        });
        read = fresh;
      }
      return read.rows;
    },
  };
  return [
    signedRequests(principals),
    stsTokens({ ...principals, clusterId, hosts: stsHosts(partition), sts, clock, log }),
  ];
}
