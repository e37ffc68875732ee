import type { Authorizer } from "../port.ts";

/** Asks one after the other; the first that allows decides. Nobody: denied, with the reasons given, a line each. */
export const union =
  (...authorizers: Authorizer[]): Authorizer =>
  async (attributes) => {
    const reasons: string[] = [];
    for (const authorizer of authorizers) {
      const decision = await authorizer(attributes);
      if (decision?.allowed) return decision;
      if (decision && decision.reason !== "") reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join("\n") };
  };
