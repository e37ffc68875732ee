/**
 * What every API server of a cluster on AWS has in common, in a function or in the gateway: identities by AWS IAM,
 * tokens signed with the ring in the secret, an audit log, and the logs of pods from CloudWatch.
 */
import type { NodeRequest } from "#api/meta";
import { identity, type Sts } from "#auth/aws-iam";
import { ringKeys, shared, tokenAuthority } from "#auth/service-account";
import type { ApiError, Clock, Log, Random } from "#base";
import { logLinks, podLogs } from "#cloud/pod-logs";
import { type ControlPlaneOptions, isRoutine } from "#controlplane";
import { listIn, type Variable } from "#hosts/aws/environment";

/** The variables that an API server reads. */
export const apiServerVariables = [
  "SKIFF_CLUSTER_ID",
  "SKIFF_ADMINISTRATOR",
  "SKIFF_NODE_ROLES",
  "SKIFF_ISSUER",
  "SKIFF_POD_LOG_GROUP",
] as const satisfies readonly Variable[];

export interface ApiServerOptions {
  variables: Readonly<Record<(typeof apiServerVariables)[number], string>>;
  /** Reads the ring of signing keys. */
  ring: () => Promise<string>;
  sts: Sts;
  /** The error for requests to nodes, other than for logs. */
  refuse: (request: NodeRequest) => ApiError;
  clock: Clock;
  random: Random;
  log: Log;
}

type Shared = Required<Pick<ControlPlaneOptions, "tokens" | "anonymous" | "authenticators" | "audit" | "links">>;

/** The options of the control plane of an API server; `links` serves logs and refuses every other request. */
export function apiServerOptions({ variables, ring, sts, refuse, clock, random, log }: ApiServerOptions): Shared {
  return {
    tokens: (client) =>
      tokenAuthority({
        keys: ringKeys({ read: ring, clock, maxAge: shared.keysAge }),
        issuer: variables.SKIFF_ISSUER,
        longest: shared.longestToken,
        client,
        clock,
        random,
      }),
    anonymous: "open-paths",
    authenticators: (client) =>
      identity({
        client,
        clusterId: variables.SKIFF_CLUSTER_ID,
        administrator: variables.SKIFF_ADMINISTRATOR,
        nodeRoles: listIn(variables.SKIFF_NODE_ROLES),
        sts,
        clock,
        log,
      }),
    audit: (event) => {
      if (!isRoutine(event)) log.info("a request was answered", { audit: event });
    },
    links: (client) => logLinks({ client, logs: podLogs(), group: variables.SKIFF_POD_LOG_GROUP, clock, refuse }),
  };
}
