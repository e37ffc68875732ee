import type { Authorizer } from "../port.ts";

/**
 * Authorizers in order; the first that allows decides. If none allows, the request is denied with their reasons, one
 * per line.
 */
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
