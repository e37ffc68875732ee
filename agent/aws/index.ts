/**
 * The agent on AWS: requests signed as the machine's role, a WebSocket to the link for heartbeats, hints and
 * what clients ask of the node, watches that hold no Lambda, where a gateway is if there is one, what ECR's private
 * registries take, logs shipped to CloudWatch. It knows neither pods' lives nor the runtime's driver.
 */
export { type FollowGatewayOptions, followGateway, type GatewayPlace } from "./gateway.ts";
export { type Shipping, type ShippingOptions, shipLogs } from "./logs/shipping.ts";
export { type RegistryOptions, registryCredentials } from "./registry.ts";
export type { Serve } from "./relays.ts";
export { type AwsCluster, type AwsOptions, type GatewayWay, startAws } from "./start.ts";
export { type TokenOptions, tokenMaker } from "./token.ts";
