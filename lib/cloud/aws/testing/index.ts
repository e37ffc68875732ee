/**
 * Stand-ins for the services that the driver calls: ELBv2 and EC2 by their Query protocols over HTTP, as far as a
 * cluster uses them. Like AWS they are eventually consistent, hold resources that are in use, and reject wrong input;
 * any call can be made to fail. Only tests import it.
 */
export { type Front, type FrontOptions, startFront } from "./front.ts";
export { type AwsNetwork, awsNetwork } from "./network.ts";
export type { NetworkOptions } from "./state.ts";
export { AwsWorld, type AwsWorldOptions } from "./world.ts";
