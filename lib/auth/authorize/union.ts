import type { Authorizer } from "../port.ts";

/** Asks one after the other; the first that allows decides. Nobody: denied, with the first reason given. */
export const union =
  (...authorizers: Authorizer[]): Authorizer =>
  async (attributes) => {
    let reason = "";
    for (const authorizer of authorizers) {
      const decision = await authorizer(attributes);
      if (decision?.allowed) return decision;
      if (decision && reason === "") reason = decision.reason;
    }
    return { allowed: false, reason };
  };
