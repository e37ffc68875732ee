/**
 * Stand-ins for what the driver talks to: ELBv2 and EC2 by their Query protocols over HTTP, as far as a cluster uses
 * them, with their habits of being late, in use, and picky; and faults at any call. Only tests import it.
 */
export { type Front, type FrontOptions, startFront } from "./front.ts";
export { type AwsNetwork, awsNetwork } from "./network.ts";
export type { NetworkOptions } from "./state.ts";
export { type AwsWorldOptions, awsWorld } from "./world.ts";
