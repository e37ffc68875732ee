import { agentHints, clock, connections, type Hints, log, once, speakerTo } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** Tells agents that what they watch has changed. */
export const hints = once(
  (): Hints => agentHints(connections(), speakerTo(requiredVariable("SKIFF_LINK_URL")), { clock, log }),
);
