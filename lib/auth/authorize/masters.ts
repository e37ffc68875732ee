import type { Authorizer } from "../port.ts";

/** The group that may do everything. */
export const masters: Authorizer = ({ user }) =>
  user.groups.includes("system:masters") ? { allowed: true } : undefined;
