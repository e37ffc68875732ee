import type { Authorizer } from "../port.ts";

/** The group that has every right. */
export const masters: Authorizer = ({ user }) =>
  user.groups.includes("system:masters") ? { allowed: true } : undefined;
