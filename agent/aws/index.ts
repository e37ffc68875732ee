/**
 * The agent on AWS: requests signed as the machine's role, a WebSocket to the link for heartbeats, hints and clients'
 * requests to the node, watches that hold no Lambda, the address of the gateway, credentials for ECR's private
 * registries, logs shipped to CloudWatch. It knows neither pods' life cycles nor the runtime's driver.
 */

export { type AwsCluster, type AwsOptions, type GatewayAccess, startAws } from "./cluster.ts";
export { type FollowGatewayOptions, followGateway, type GatewayAddress } from "./gateway.ts";
export { type Shipping, type ShippingOptions, shipLogs } from "./logs/shipping.ts";
export { type RegistryOptions, registryCredentials } from "./registry.ts";
export type { Serve } from "./relays.ts";
export { type TokenOptions, tokenMaker } from "./token.ts";
