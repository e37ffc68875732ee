import { accessEntries } from "#api";
import type { Authenticator } from "#auth";
import { stsHosts } from "#aws";
import type { Clock, Log } from "#base";
import type { Client } from "#client";
import { type Sts, stsTokens } from "./authenticator.ts";
import type { AccessRow, PrincipalOptions } from "./principals.ts";
import { signedRequests } from "./signed-requests.ts";

export interface IdentityOptions {
  /** The cluster's own client, when somebody is to be looked up. */
  client: Client;
  clusterId: string;
  /** ARN of the first administrator; says the partition, too. */
  administrator: string;
  nodeRoles: readonly string[];
  sts: Sts;
  clock: Clock;
  log: Log;
}

/** What was read is good for so long: a principal that was taken out may come in as much longer. */
const maxAge = 5000;

/** The two surfaces: tokens that are presigned requests to STS, and requests whose signature API Gateway has checked. */
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
        // What failed is asked for again by the next one.
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
