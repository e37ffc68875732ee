import { agentHints, clock, connections, connectionsApi, type Hints, log, once } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Notifies agents of changes that they watch. */
export const hints = once(
  (): Hints =>
    agentHints({ connections: connections(), api: connectionsApi(requiredVariable("SKIFF_LINK_URL")), clock, log }),
);
